"""Real Chromium on the real demo world: the one that `make demo` runs, as processes of their own."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests import browser
from tests.surfer import Surfer
from tests.terminal import Demo, running, until
from tests.world import Microsoft

ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
PATIENCE = 30_000  # milliseconds: the machine may be busy, and what works is there much sooner

expect.set_options(timeout=PATIENCE)
_numbers = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser."""
    for item in items:
        if "journeys" in item.path.parts:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The whole demo world, with no setting but its ports and where its state lives."""
    with running(tmp_path_factory.mktemp("journeys") / "var") as started:
        yield started


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One per file: two of Playwright's synchronous worlds cannot live at the same time."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser.get(), args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def sandbox(demo: Demo) -> Iterator[Microsoft]:
    """The sandbox of the demo world, in fair weather before and after."""
    held = Microsoft(demo.sandbox_url)
    held.mend()
    yield held
    held.mend()


@pytest.fixture
def account(sandbox: Microsoft) -> str:
    """A work account at Microsoft that no other test knows, with some events."""
    address = f"person{next(_numbers)}@contoso.example"
    sandbox.desk("POST", "accounts", address=address, name="Person of a Test")
    return address


@dataclass
class Browsers:
    """Opens browsers, listens to what they complain about, and closes them."""

    chromium: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)
    expected: tuple[str, ...] = ()

    def open(self, *, width: int = 1280, scheme: Any = "light", javascript: bool = True) -> Page:
        """A page in a browser of its own: no cookie, no history."""
        context = self.chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=javascript
        )
        context.set_default_timeout(PATIENCE)
        context.on("console", self._note)
        context.on("weberror", lambda error: self.complaints.append(f"page error: {error.error}"))
        self.contexts.append(context)
        return context.new_page()

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(word in message.text for word in self.expected):
            self.complaints.append(f"{message.type} at {message.page and message.page.url}: {message.text}")

    def close(self) -> None:
        for context in self.contexts:
            context.close()


@pytest.fixture
def browsers(chromium: Browser) -> Iterator[Browsers]:
    """Browsers whose every complaint (script error, Content-Security-Policy, failed request) fails the test."""
    opened = Browsers(chromium)
    yield opened
    opened.close()
    assert opened.complaints == []


@pytest.fixture
def page(browsers: Browsers) -> Page:
    """One browser, wide and light."""
    return browsers.open()


@pytest.fixture
def member(demo: Demo) -> Callable[[str], str]:
    """Make sure that a member has nothing connected, whatever other tests did; their address."""

    def prepare(name: str) -> str:
        email = {"charlie": "charlie@fabrikam.example", "sam": "sam@coordinoter.example"}.get(
            name, f"{name}@northwind.example"
        )
        surfer = Surfer(demo.url)
        surfer.sign_in(email)
        surfer.get("/integrations")
        while "Disconnect from Microsoft" in surfer.words:
            surfer.press("Disconnect from Microsoft")
            surfer.press("Disconnect")
            until(lambda: surfer.get(surfer.path) and "is disconnected" in surfer.heading, "the receipt")
            surfer.get("/integrations")
        until(lambda: surfer.get("/integrations") and "Not connected" in surfer.words, "nothing connected")
        return email

    return prepare


@pytest.fixture
def rows(demo: Demo) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask the demo world's database."""

    def ask(question: str, *values: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"file:{demo.var / 'portal.sqlite3'}?mode=ro", uri=True)) as connection:
            return connection.execute(question, values).fetchall()

    return ask

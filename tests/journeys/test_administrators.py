"""What is written for administrators, in a real browser: at every width, in light and dark, by keyboard alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, sync_playwright

from portal.db import db
from tests.accessible import violations
from tests.browser import get
from tests.door import Door
from tests.world import CARD, PASSWORD, World

pytestmark = pytest.mark.browser
VIEWS: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (390, "dark"), (320, "light")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=get(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(
    params=[VIEWS[0], *(pytest.param(view, marks=pytest.mark.long) for view in VIEWS[1:])],
    ids=lambda view: f"{view[0]}-{view[1]}",
)
def page(chromium: Chromium, world: World, door: Door, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of the portal; whatever the browser complains about fails the test."""
    width, scheme = request.param
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, base_url=door.url)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield opened
    context.close()
    assert not complaints


def sign_in(page: Page, email: str) -> None:
    db.session.rollback()  # what a test looked up must not hold SQLite's write lock while the portal acts
    page.goto("/sign-in")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


def checked(page: Page, name: str) -> None:
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
    if folder := os.environ.get("SCREENSHOTS"):
        width = page.viewport_size["width"] if page.viewport_size else 0
        page.screenshot(path=Path(folder) / f"{name}-{width}.png", full_page=True)


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_it_works(page: Page) -> None:
    """Dana decides for her business, and takes it back."""
    sign_in(page, "dana@northwind.example")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Your business").click()
    page.wait_for_url("**/business")
    checked(page, "business")
    press(page, "Turn on")
    page.wait_for_url("**/business/permissions**")
    checked(page, "business-question")
    page.get_by_role("button", name="Yes, remove them", exact=True).focus()
    page.keyboard.press("Enter")
    page.get_by_text("Turned on by Dana Duval").wait_for()
    checked(page, "business-on")


def test_an_approval_that_is_waited_for(page: Page) -> None:
    sign_in(page, "alice@northwind.example")
    page.goto(CARD)
    press(page, "My administrator must approve")
    page.get_by_text("Waiting for your administrator").wait_for()
    page.get_by_text("The message for your administrator").click()
    assert "adminconsent" in page.get_by_label("Ready to copy").input_value()
    checked(page, "approval")
    press(page, "Wait no longer")
    page.get_by_text("Waiting for your administrator").wait_for(state="detached")


def test_what_the_receipt_hands_on(page: Page, world: World) -> None:
    alice = world.connected()
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    address = f"/disconnections/{world.disconnection().id}"
    sign_in(page, "alice@northwind.example")
    page.goto(address)
    page.get_by_text("The lines to send along").click()
    assert "Remove-MgOauth2PermissionGrant" in page.get_by_label("For Microsoft Graph PowerShell").input_value()
    checked(page, "handover")

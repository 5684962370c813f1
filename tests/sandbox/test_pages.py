"""The sandbox's pages in a real browser: readable for everybody, at every width, by keyboard, and never mistaken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, sync_playwright

from portal.sandbox.server import Server
from tests.accessible import violations
from tests.browser import get

from .conftest import SCOPE, Desk, Listener

pytestmark = pytest.mark.browser
VIEWS: list[tuple[int, Literal["light", "dark"]]] = [(1280, "light"), (390, "dark"), (320, "light")]


def views(short: int) -> list[Any]:
    """Every view, of which `make test` takes one."""
    return [pytest.param(view, marks=[] if at == short else [pytest.mark.long]) for at, view in enumerate(VIEWS)]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=get(), args=["--no-sandbox"])
        yield browser
        browser.close()


def authorize(server: Server, listener: Listener, **more: str) -> str:
    """The address an application sends its people to; they come back to a listener."""
    query = {
        "client_id": server.config.client_id,
        "response_type": "code",
        "redirect_uri": listener.url,
        "scope": SCOPE,
        "state": "a state",
        **more,
    }
    return f"{server.url}/common/oauth2/v2.0/authorize?{urlencode(query)}"


@pytest.fixture
def page(chromium: Chromium, server: Server, listener: Listener, request: Any) -> Iterator[Page]:
    Desk(server.url)("PATCH", f"applications/{server.config.client_id}", redirect_uris=[listener.url])
    view: tuple[int, Literal["light", "dark"]] = getattr(request, "param", VIEWS[0])
    width, scheme = view
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    yield opened
    context.close()
    assert not [text for text in complaints if "Content Security Policy" in text]


def checked(page: Page) -> None:
    assert violations(page) == []
    assert "not Microsoft" in page.title()
    assert page.get_by_text("SANDBOX", exact=True).is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("page", views(0), indirect=True)
def test_it_works(page: Page, server: Server, listener: Listener) -> None:
    page.goto(authorize(server, listener))
    checked(page)
    press(page, "adele@contoso.example")
    checked(page)
    assert page.get_by_role("button", name="Cancel", exact=True).is_visible()
    press(page, "Accept")
    page.wait_for_url(f"{listener.url}?**")
    assert "code=" in page.url and "state=a+state" in page.url


@pytest.mark.parametrize("page", views(1), indirect=True)
def test_the_other_pages(page: Page, server: Server, listener: Listener) -> None:
    desk = Desk(server.url)
    page.goto(authorize(server, listener))
    press(page, "ravi@wingtip.example")
    checked(page)
    desk("PATCH", "tenants/wingtip.example", consent="workflow")
    page.goto(authorize(server, listener, prompt="login"))
    press(page, "ravi@wingtip.example")
    checked(page)
    press(page, "Request approval")
    checked(page)
    desk("POST", "accounts/adele@contoso.example/consent", scopes=SCOPE)
    desk("POST", "accounts/adele@contoso.example/consent", scopes=["User.Read"], tenant_wide=True)
    page.goto(f"{server.url}/myapps")
    checked(page)
    press(page, "adele@contoso.example")
    page.goto(f"{server.url}/myapps")
    checked(page)
    for path in (
        "/consent/Manage",
        "/error?code=65001",
        "/common/oauth2/v2.0/logout",
        "/nowhere/oauth2/v2.0/authorize",
    ):
        page.goto(server.url + path)
        checked(page)
    page.goto(
        f"{server.url}/contoso.example/v2.0/adminconsent?"
        + urlencode({"client_id": server.config.client_id, "redirect_uri": listener.url})
    )
    press(page, "admin@contoso.example")
    checked(page)


@pytest.mark.parametrize("page", views(2), indirect=True)
def test_the_desk(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/desk")
    checked(page)
    page.get_by_text("Levers for adele@contoso.example").click()
    checked(page)
    page.get_by_label("How many events").first.fill("3")
    press(page, "Add events (adele@contoso.example)")
    assert page.get_by_role("status").inner_text() == "Events added for adele@contoso.example: 3."
    page.get_by_label("What happens", exact=True).last.select_option("throttle")
    press(page, "Order it")
    assert "Ordered: throttle" in page.get_by_role("status").inner_text()
    checked(page)


def test_a_form_post_needs_no_click(page: Page, server: Server, listener: Listener) -> None:
    Desk(server.url)("POST", "accounts/adele@contoso.example/consent", scopes=SCOPE)
    page.goto(authorize(server, listener, response_mode="form_post"))
    press(page, "adele@contoso.example")
    page.wait_for_url(listener.url)


def test_it_can_be_used_by_keyboard_alone(page: Page, server: Server, listener: Listener) -> None:
    page.goto(authorize(server, listener))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.value") == "adele@contoso.example"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Permissions asked for").wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{listener.url}?**")

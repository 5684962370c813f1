"""Help by another service, in a real browser: a stand-in for each vendor notes what it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from portal.widget import Widget
from tests.browser import get
from tests.door import Door
from tests.terminal import until
from tests.world import PASSWORD, World

pytestmark = pytest.mark.browser

NOTE = "window.calls = []; const note = (...all) => window.calls.push(JSON.stringify(all));"
VENDORS = {
    "intercom:abcd1234": ("https://widget.intercom.io/widget/abcd1234", "window.Intercom = note;", "show", "shutdown"),
    "zendesk:key-1234": (
        "https://static.zdassets.com/ekr/snippet.js?key=key-1234",
        "window.zE = note;",
        "open",
        "logoutUser",
    ),
    "chatwoot:https://chat.example.com,tok123": (
        "https://chat.example.com/packs/js/sdk.js",
        "window.$chatwoot = new Proxy({}, {get: (_, name) => (...all) => note(name, ...all)});"
        "window.chatwootSDK = {run: () => window.dispatchEvent(new Event('chatwoot:ready'))};",
        "toggle",
        "reset",
    ),
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=get(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=VENDORS, ids=lambda text: text.split(":")[0])
def page(chromium: Browser, world: World, door: Door, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Alice at Manage Integrations; the policy of the page is the real one, and nothing may break it."""
    world.app.extensions["settings"] = replace(world.app.extensions["settings"], help_widget=Widget.read(request.param))
    address, script, _, _ = VENDORS[request.param]
    context = chromium.new_context(base_url=door.url)
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.route(address, lambda route: route.fulfill(content_type="text/javascript", body=NOTE + script))
    opened.goto("/sign-in?next=/integrations")
    opened.get_by_label("Email").fill("alice@northwind.example")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("button", name="Sign in", exact=True).click()
    opened.wait_for_url("**/integrations")
    yield opened
    context.close()
    assert not complaints


def calls(page: Page) -> str:
    return str(page.evaluate("(window.calls || []).join('\\n')"))


def wait_for_a_call(page: Page) -> None:
    """Playwright's own waiting evaluates text in the page, which the page's policy rightly forbids."""
    until(lambda: calls(page) != "", "a call to the vendor")


def test_the_icon_opens_it_and_signing_out_shuts_it_down(page: Page, request: pytest.FixtureRequest) -> None:
    _, _, opens, ends = VENDORS[request.node.callspec.params["page"]]
    assert page.evaluate("window.calls") is None  # nothing is loaded before somebody asks
    page.get_by_role("button", name="Help", exact=True).click()
    wait_for_a_call(page)
    assert opens in calls(page)
    if opens != "open":  # Zendesk takes the situation as tags, with the next press
        assert "/integrations" in calls(page)
    page.get_by_role("button", name="Help", exact=True).click()
    assert "/integrations" in calls(page)
    page.evaluate(
        "document.querySelector('form[action=\"/sign-out\"]').addEventListener('submit', e => e.preventDefault())"
    )
    page.get_by_role("button", name="Sign out").click()
    assert ends in calls(page)


def test_deep_links_open_it_too(page: Page) -> None:
    page.goto("/integrations?help=chat")
    wait_for_a_call(page)
    page.goto("/integrations?help=article:disconnect-outlook-calendar")
    page.wait_for_url("**/help/disconnect-outlook-calendar")
    expect(page.get_by_role("heading", level=1)).to_have_text("Disconnect Outlook Calendar")

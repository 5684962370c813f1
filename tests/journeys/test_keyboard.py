"""The whole journey by keyboard alone, and where focus, title and the current link are after each step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import CARD, DISCONNECTED, QUESTION, arrive, card, focused, is_whole, sign_in, synced
from tests.terminal import Demo
from tests.world import PASSWORD, Microsoft

Prepare = Callable[[str], str]
RING = """() => {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
}"""


def tab_to(page: Page, name: str) -> None:
    """Press Tab until whatever is called so has the focus, which must be seen."""
    passed = []
    for _ in range(80):
        page.keyboard.press("Tab")
        passed.append(focused(page)[:60])
        if passed[-1] == name:
            assert page.evaluate(RING), f"no focus ring on {name}"
            return
    raise AssertionError(f"Tab never reached {name!r}; it passed {passed}")


def press(page: Page, name: str) -> None:
    tab_to(page, name)
    page.keyboard.press("Enter")


def test_it_works(demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft) -> None:
    email = member("dana")
    page.goto(f"{demo.url}{CARD}")
    tab_to(page, "Skip to content")
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "email", "the skip link leads past the navigation"
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{demo.url}{CARD}")
    expect(page.get_by_role("heading", name="Outlook Calendar")).to_be_focused()

    press(page, "Connect to Microsoft")
    page.wait_for_url(f"{demo.sandbox_url}/**")
    press(page, account)
    expect(page.get_by_role("button", name="Accept", exact=True)).to_be_visible()
    press(page, "Accept")
    page.wait_for_url(f"{demo.url}{CARD}")
    synced(page)

    press(page, "Disconnect from Microsoft")
    dialog = page.get_by_role("dialog", name=QUESTION)
    expect(dialog.get_by_role("heading", name=QUESTION)).to_be_focused()
    for _ in range(12):  # the focus stays inside of the dialog, or leaves for the browser's own controls
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Disconnect from Microsoft")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    press(page, "Cancel")
    expect(page.get_by_role("button", name="Disconnect from Microsoft")).to_be_focused()
    page.keyboard.press("Space")
    sandbox.breaks("delay", "subscriptions", delay=1, times=1)
    press(page, "Disconnect")
    expect(page.get_by_role("heading", name="Disconnecting", exact=True)).to_be_focused()
    arrive(page)
    expect(page.get_by_role("heading", level=1, name=DISCONNECTED)).to_be_focused()
    press(page, "Back to Manage Integrations")
    page.wait_for_url(f"{demo.url}/integrations")
    expect(card(page)).to_contain_text("Not connected")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_help_panel_by_keyboard(demo: Demo, browsers: Browsers, member: Prepare, width: int) -> None:
    page = browsers.open(width=width)
    sign_in(page, demo, member("dana"), CARD)
    tab_to(page, "Help")  # the link in the navigation comes first
    while page.evaluate("document.activeElement.id") != "help-button":
        tab_to(page, "Help")
    page.keyboard.press("Enter")
    panel = page.get_by_role("dialog", name="Help")
    expect(panel.get_by_role("heading", name="Help", exact=True)).to_be_focused()
    expect(page.locator("#help-button")).to_have_attribute("aria-expanded", "true")
    tab_to(page, "Close help")
    page.keyboard.press("Enter")
    expect(panel).to_have_count(0)
    expect(page.locator("#help-button")).to_be_focused()
    expect(page.locator("#help-button")).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("Enter")
    expect(panel).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    expect(page.locator("#help-button")).to_be_focused()


def test_title_focus_and_the_current_link_follow_boosted_navigation(demo: Demo, page: Page, member: Prepare) -> None:
    sign_in(page, demo, member("dana"))
    page.evaluate("window.sameDocument = true")
    navigation = page.get_by_role("navigation", name="Main")
    for name, path, title in (
        ("Agenda", "/agenda", "Agenda · Coordinoter"),
        ("Manage Integrations", "/integrations", "Manage Integrations · Coordinoter"),
        ("Help", "/help", "Help · Coordinoter"),
    ):
        navigation.get_by_role("link", name=name, exact=True).click()
        page.wait_for_url(f"{demo.url}{path}")
        expect(page).to_have_title(title)
        expect(page.get_by_role("heading", level=1)).to_be_focused()
        expect(navigation.locator('[aria-current="page"]')).to_have_text(name)
        assert page.evaluate("window.sameDocument") is True, "htmx swapped the body; the document stayed"
        is_whole(page)
    for path, title in (("/integrations", "Manage Integrations"), ("/agenda", "Agenda")):
        page.go_back()
        page.wait_for_url(f"{demo.url}{path}")
        expect(page).to_have_title(f"{title} · Coordinoter")
        expect(navigation.locator('[aria-current="page"]')).to_have_text(title)
        is_whole(page)
    page.go_forward()
    page.wait_for_url(f"{demo.url}/integrations")
    expect(page).to_have_title("Manage Integrations · Coordinoter")
    page.reload()
    is_whole(page)
    assert page.evaluate("window.sameDocument") is None


def test_progress_is_announced(demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft) -> None:
    """Screen readers hear of it: the words stand in a live region that was there before they changed."""
    sign_in(page, demo, member("dana"), CARD)
    page.get_by_role("button", name="Connect to Microsoft").click()
    sandbox.breaks("delay", "delta", delay=1, times=2)
    page.get_by_role("button", name=account, exact=True).click()
    page.get_by_role("button", name="Accept", exact=True).click()
    page.wait_for_url(f"{demo.url}{CARD}")
    status = card(page).get_by_role("status").first
    expect(status).to_contain_text("Reading")
    page.evaluate("window.region = document.querySelector('#card-outlook-calendar [role=status]')")
    synced(page)
    assert page.evaluate("window.region.isConnected"), "the same element, morphed: a new one would stay unheard"

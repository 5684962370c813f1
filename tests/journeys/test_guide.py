"""The guide that support gives to customers, walked step by step in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from playwright.sync_api import Page, expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import (
    CARD,
    DISCONNECTED,
    QUESTION,
    arrive,
    ask,
    button,
    card,
    connect,
    fill_in,
    focused,
    heading,
    is_whole,
    sign_in,
)
from tests.terminal import Demo
from tests.world import Microsoft

Prepare = Callable[[str], str]


def test_it_works(demo: Demo, page: Page, sandbox: Microsoft, member: Prepare) -> None:
    email, account = member("alice"), "adele@contoso.example"

    # 1. Sign in; the deep link survives it and lands on the card.
    page.goto(f"{demo.url}{CARD}")
    expect(page).to_have_title("Sign in · Coordinoter")
    fill_in(page, email)
    page.wait_for_url(f"{demo.url}{CARD}")
    expect(card(page).get_by_role("heading", name="Outlook Calendar")).to_be_focused()

    # 2. Connect: the card says what is asked for; one press leaves straight for Microsoft.
    expect(card(page)).to_contain_text("Not connected")
    expect(card(page)).to_contain_text("Read your calendars and events")
    expect(card(page)).to_contain_text("We never ask for your mail")
    visited: list[str] = []
    page.on("request", lambda request: visited.append(request.url) if request.is_navigation_request() else None)
    button(page, "Connect to Microsoft").click()
    page.wait_for_url(f"{demo.sandbox_url}/**")
    assert [url for url in visited if url.startswith(demo.url)] == [], "no page between"
    expect(page.locator("body")).to_contain_text("not Microsoft")
    button(page, account).click()
    expect(page.locator("main")).to_contain_text(account)
    sandbox.breaks("delay", "delta", delay=1.5, times=3)  # slow enough to be seen
    button(page, "Accept").click()
    page.wait_for_url(f"{demo.url}{CARD}")
    expect(page.get_by_text("Outlook Calendar is connected")).to_be_visible()
    expect(card(page).get_by_text("Syncing", exact=True)).to_be_visible()
    expect(card(page).get_by_role("status").filter(has_text="Reading")).to_be_visible()
    expect(card(page).get_by_text("Connected", exact=True)).to_be_visible()
    held = sandbox.holds(account)
    expect(card(page)).to_contain_text(account)
    for calendar in held["calendars"]:
        expect(card(page)).to_contain_text(calendar["name"])
    copies = int(card(page).locator("dt", has_text="Copied events").locator("xpath=../dd").inner_text())
    assert copies > 20
    expect(card(page).locator("dt", has_text="Last sync").locator("xpath=..").locator("time")).to_be_visible()
    assert len(held["subscriptions"]) == 1

    # 3. The agenda shows copied events beside the meetings of Coordinoter.
    page.get_by_role("link", name="Agenda", exact=True).click()
    page.wait_for_url(f"{demo.url}/agenda")
    agenda = page.get_by_role("main")
    expect(agenda.get_by_text("Contoso check-in")).to_be_visible()
    expect(agenda.locator("li.event.is-yours").first).to_be_visible()

    # 4. Disconnect: a question first, with a way back.
    page.get_by_role("link", name="Manage Integrations").click()
    page.wait_for_url(f"{demo.url}/integrations")
    dialog = ask(page)
    expect(dialog.get_by_role("heading", name=QUESTION)).to_be_focused()
    calendars = len(held["calendars"])
    expect(dialog).to_contain_text(f"Stops syncing {calendars} calendars")
    expect(dialog).to_contain_text("Ends 1 subscription")
    expect(dialog).to_contain_text(f"Deletes {copies} copied events")
    button(dialog, "Cancel").click()
    expect(dialog).to_have_count(0)
    expect(button(page, "Disconnect from Microsoft")).to_be_focused()
    assert page.url == f"{demo.url}/integrations"

    sandbox.breaks("delay", "subscriptions", delay=2, times=1)
    button(ask(page), "Disconnect").click()
    expect(card(page)).to_contain_text("Step 2 of 9: End notifications")
    assert page.url == f"{demo.url}/integrations", "the card is swapped in place"
    receipt = arrive(page)
    expect(page).to_have_title(f"{DISCONNECTED} · Coordinoter")
    words = page.get_by_role("main").inner_text()
    for said in ("1 subscription deleted at Microsoft", f"{copies} copied events", "Signature valid"):
        assert said in words
    assert account not in words, "the receipt names no mailbox"
    is_whole(page)

    # It has an address of its own, and survives reload and Back.
    page.reload()
    expect(page.get_by_role("heading", level=1, name=DISCONNECTED)).to_be_visible()
    page.go_back()
    page.wait_for_url(f"{demo.url}/integrations")
    expect(card(page)).to_contain_text("Not connected")
    is_whole(page)
    page.reload()
    is_whole(page)
    expect(button(page, "Connect to Microsoft")).to_be_visible()

    # 5. The desk, in another tab: what Microsoft still holds is what the receipt said.
    tab = page.context.new_page()
    tab.goto(f"{demo.sandbox_url}/desk")
    place = tab.get_by_role("article", name=account)
    expect(place.locator("dt", has_text="Subscriptions").locator("xpath=following-sibling::dd[1]")).to_have_text("none")
    left = sandbox.holds(account)
    assert left["subscriptions"] == []
    assert left["grants"], "the consent stays until the person removes it"
    assert left["refresh_tokens"]["living"] >= 1, "as at real Microsoft"
    page.goto(receipt)
    yours, lapses = page.locator("#voice-yours"), page.locator("#voice-wait")
    expect(yours.get_by_role("link", name=re.compile("My Apps"))).to_be_visible()
    expect(lapses).to_contain_text("refresh token")
    last = datetime.fromisoformat(left["access_tokens"]["last_expires"].replace("Z", "+00:00"))
    moments = lapses.locator("time").evaluate_all("all => all.map(each => each.dateTime)")
    told = [datetime.fromisoformat(moment) for moment in moments]
    assert any(timedelta(0) <= each - last < timedelta(seconds=70) for each in told), "never too early"


def test_the_way_through_the_navigation(demo: Demo, page: Page, member: Prepare) -> None:
    sign_in(page, demo, member("bob"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("Welcome")
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Manage Integrations").click()
    page.wait_for_url(f"{demo.url}/integrations")
    expect(heading(page, "Outlook Calendar")).to_be_visible()
    expect(button(page, "Connect to Microsoft")).to_be_visible()


def test_what_only_you_can_do_is_done_from_the_receipt(
    demo: Demo, page: Page, sandbox: Microsoft, account: str, member: Prepare
) -> None:
    """Follow the receipt's link, remove the permission at Microsoft, come back and look again."""
    sign_in(page, demo, member("bob"), CARD)
    connect(page, demo, account)
    button(ask(page), "Disconnect").click()
    receipt = arrive(page)
    button(page, "Check again").click()
    page.wait_for_url(receipt)
    expect(page.locator("#afterwards")).to_contain_text("Still there")
    page.locator("#voice-yours").get_by_role("link", name=re.compile("My Apps")).click()
    page.wait_for_url(f"{demo.sandbox_url}/myapps**")
    page.get_by_role("button", name=re.compile("Revoke permissions")).first.click()
    assert sandbox.holds(account)["grants"] == []
    page.goto(receipt)
    button(page, "Check again").click()
    page.wait_for_url(receipt)
    expect(page.locator("#afterwards")).to_contain_text("Removed")


def test_connecting_again_starts_clean(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("bob"), CARD)
    counts = []
    for answer in ("Accept", None):  # Microsoft remembers the first answer
        connect(page, demo, account, answer)
        counts.append(card(page).locator("dt", has_text="Copied events").locator("xpath=../dd").inner_text())
        assert len(sandbox.holds(account)["subscriptions"]) == 1
        button(ask(page), "Disconnect").click()
        arrive(page)
        page.goto(f"{demo.url}{CARD}")
    assert counts[0] == counts[1]


def test_help_is_at_the_bottom_right_of_every_page(demo: Demo, browsers: Browsers, member: Prepare) -> None:
    for width in (320, 1280):
        page = browsers.open(width=width)
        page.goto(f"{demo.url}/sign-in")
        for path in ("/sign-in", "/help", "/help/disconnect-outlook-calendar", None, "/", "/agenda", "/integrations"):
            if path is None:
                sign_in(page, demo, member("bob"))
                continue
            page.goto(f"{demo.url}{path}")
            box = button(page, "Help").bounding_box()
            assert box is not None
            assert 0 <= width - (box["x"] + box["width"]) <= 24, path
            assert 0 <= 800 - (box["y"] + box["height"]) <= 24, path
            assert min(box["width"], box["height"]) >= 44
            button(page, "Help").click()
            panel = page.get_by_role("dialog", name="Help")
            expect(panel.get_by_role("listitem").first).to_be_visible()
            assert panel.locator("#help-found").get_by_role("link").count() >= 1, f"articles for {path}"
            page.keyboard.press("Escape")
            expect(panel).to_have_count(0)
            expect(button(page, "Help")).to_be_focused()


def test_an_unhappy_face_leads_to_a_person(demo: Demo, browsers: Browsers, member: Prepare) -> None:
    page, desk = browsers.open(), browsers.open()
    sign_in(page, demo, member("bob"), CARD)
    button(page, "Help").click()
    panel = page.get_by_role("dialog")
    expect(heading(panel, "Help")).to_be_focused()
    panel.get_by_role("link", name=re.compile("^Disconnect Outlook Calendar")).click()
    expect(heading(panel, "Disconnect Outlook Calendar")).to_be_focused()
    expect(panel.get_by_role("link", name="here").first).to_have_attribute("href", CARD)
    expect(panel.get_by_text("Did this answer your question?")).to_be_visible()
    button(panel, "Yes").click()
    expect(button(panel, "Yes")).to_have_attribute("aria-pressed", "true")
    button(panel, "No").click()
    expect(button(panel, "No")).to_have_attribute("aria-pressed", "true")
    expect(button(panel, "Yes")).to_have_attribute("aria-pressed", "false")
    message = "The article does not say what happens to my birthday."
    panel.get_by_label("Your message").fill(message)
    button(panel, "Send").click()
    expect(panel.get_by_role("log")).to_contain_text(message)

    sign_in(desk, demo, "sam@coordinoter.example", "/support")
    desk.get_by_label("Search all conversations").fill("birthday")  # other tests have written to this desk as well
    button(desk, "Search").click()
    found = desk.get_by_role("link", name=re.compile("Bob"))
    expect(found).to_have_count(1)  # until the answer is there, the whole queue stands there
    found.click()
    expect(desk.get_by_role("main")).to_contain_text(message)
    expect(desk.get_by_role("main")).to_contain_text("disconnect-outlook-calendar")


def test_the_article_leads_straight_to_the_card(demo: Demo, page: Page, member: Prepare) -> None:
    email = member("bob")
    page.goto(f"{demo.url}/help/disconnect-outlook-calendar")
    page.get_by_role("main").get_by_role("link", name="here", exact=True).first.click()
    page.wait_for_url("**/sign-in?**")
    expect(page.get_by_label("Email")).to_be_visible()
    fill_in(page, email)
    page.wait_for_url(f"{demo.url}{CARD}")
    expect(heading(card(page), "Outlook Calendar")).to_be_focused()
    assert focused(page) == "Outlook Calendar"

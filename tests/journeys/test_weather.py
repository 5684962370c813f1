"""When Microsoft refuses, takes back, or does not answer: calm pages, and a disconnection that ends all the same."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import CARD, arrive, ask, button, card, connect, heading, pick, sign_in, synced
from tests.terminal import Demo
from tests.world import Microsoft

Prepare = Callable[[str], str]


def copies(page: Page) -> str:
    return card(page).locator("dt", has_text="Copied events").locator("xpath=../dd").inner_text()


def withdraw(page: Page, sandbox: Microsoft, account: str) -> None:
    """The person takes their consent back at Microsoft; the next sync finds out."""
    sandbox.desk("POST", f"accounts/{account}/withdraw", tenant_wide=False)
    sandbox.desk("POST", f"accounts/{account}/expire-tokens", kinds=["access"])
    button(page, "Sync now").click()
    expect(card(page).get_by_text("Needs attention", exact=True)).to_be_visible()


def test_it_works(demo: Demo, page: Page, account: str, member: Prepare) -> None:
    """A refused consent comes back as a calm notice."""
    sign_in(page, demo, member("alice"), CARD)
    button(page, "Connect to Microsoft").click()
    pick(page, demo, account, "Cancel")
    assert page.url == f"{demo.url}{CARD}"
    expect(page.get_by_role("status").filter(has_text="Nothing was connected")).to_be_visible()
    expect(page.get_by_text("Nothing was connected", exact=True)).to_be_focused()
    expect(button(page, "Connect to Microsoft")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Nothing was connected")).to_have_count(0)


def test_an_organisation_whose_administrator_must_approve(demo: Demo, page: Page, member: Prepare) -> None:
    sign_in(page, demo, member("alice"), CARD)
    button(page, "Connect to Microsoft").click()
    page.wait_for_url(f"{demo.sandbox_url}/**")
    button(page, "ravi@wingtip.example").click()
    expect(heading(page, "Need admin approval")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("AADSTS90094")
    button(page, "Return to the application without granting consent").click()
    page.wait_for_url(f"{demo.url}{CARD}")
    expect(page.get_by_text("Nothing was connected")).to_be_visible()


def test_access_withdrawn_at_microsoft_is_mended_by_reconnect(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("alice"), CARD)
    connect(page, demo, account)
    before = copies(page)
    withdraw(page, sandbox, account)
    expect(card(page)).to_contain_text("Permission was withdrawn at Microsoft")
    expect(button(page, "Disconnect from Microsoft")).to_be_visible()
    button(page, "Reconnect").click()
    page.wait_for_url(f"{demo.sandbox_url}/**")
    expect(page.get_by_role("main")).to_contain_text(account)  # Microsoft knows who it is about
    button(page, "Accept").click()
    page.wait_for_url(f"{demo.url}{CARD}")
    synced(page)
    assert copies(page) == before, "no duplicates"
    expect(card(page).get_by_role("heading", name=account)).to_have_count(1)
    assert len(sandbox.holds(account)["subscriptions"]) == 1


def test_a_connection_that_needs_attention_still_disconnects(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("alice"), CARD)
    connect(page, demo, account)
    withdraw(page, sandbox, account)
    button(ask(page), "Disconnect").click()
    arrive(page)
    expect(page.get_by_role("main")).to_contain_text("Microsoft did not accept our old token any more")
    page.goto(f"{demo.url}{CARD}")
    expect(card(page)).to_contain_text("Not connected")


def test_microsoft_unreachable_while_disconnecting(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    """The trouble is told, "Erase now" does not wait, and the receipt says honestly what could not be done."""
    sign_in(page, demo, member("alice"), CARD)
    connect(page, demo, account)
    sandbox.breaks("drop", "all", times=None)
    button(ask(page), "Disconnect").click()
    expect(card(page)).to_contain_text("Microsoft is not answering")
    expect(card(page)).to_contain_text(re.compile(r"We keep trying until \d\d:\d\d"))
    page.goto(f"{demo.url}/agenda")
    expect(page.get_by_text("No calendar is connected")).to_be_visible()
    page.go_back()
    button(page, "Erase now").click()
    arrive(page)
    expect(page.locator("#voice-wait")).to_contain_text(
        re.compile(r"Microsoft is not answering.*subscription.*by itself")
    )
    expect(page.locator("#voice-bad")).to_contain_text("We could not ask whether our old token still works")
    expect(page.locator("#voice-good")).to_contain_text("tokens were deleted")
    sandbox.mend()
    assert len(sandbox.holds(account)["subscriptions"]) == 1, "as the receipt says, it lives on for a while"
    page.goto(f"{demo.url}{CARD}")
    expect(card(page)).to_contain_text("Not connected")


def test_microsoft_unreachable_while_connecting(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("alice"), CARD)
    button(page, "Connect to Microsoft").click()
    sandbox.breaks("drop", "token", times=None)
    pick(page, demo, account)
    expect(page.get_by_text("Microsoft is not answering", exact=True)).to_be_visible()
    expect(card(page)).to_contain_text("Not connected")
    sandbox.mend()
    connect(page, demo, account, None)


def test_a_change_in_outlook_arrives_by_itself(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    """Nobody presses anything: Microsoft's notification starts the sync, and the open page follows it."""
    sign_in(page, demo, member("alice"), CARD)
    connect(page, demo, account)
    before = int(copies(page))
    sandbox.desk("POST", f"accounts/{account}/events", count=7)
    expect(card(page).locator("dt", has_text="Copied events").locator("xpath=../dd")).to_have_text(str(before + 7))


def test_a_proxy_that_answers_for_the_portal(
    demo: Demo, page: Page, browsers: Browsers, account: str, member: Prepare
) -> None:
    """Its page is put nowhere: people read that the portal is away, and lose nothing."""
    browsers.expected = ("502",)
    sign_in(page, demo, member("alice"), CARD)
    lost, away = page.locator("#lost"), re.compile(r"/(connect|sync|messages)(\?|$)")
    gateway = {"status": 502, "content_type": "text/html", "body": "<h1>502 Bad Gateway</h1>"}
    page.route(away, lambda route: route.fulfill(**gateway))
    button(page, "Connect to Microsoft").click()
    expect(lost).to_be_visible()
    page.unroute(away)
    connect(page, demo, account)
    synced(page)
    page.route(away, lambda route: route.fulfill(**gateway))
    button(page, "Sync now").click()
    expect(lost).to_be_visible()
    expect(card(page)).to_contain_text(account)
    page.goto(f"{demo.url}/chat")
    page.get_by_label("Your message").fill("Are you there?")
    button(page, "Send").click()
    expect(page.get_by_text("Not sent: the portal is not answering.")).to_be_visible()
    expect(page.get_by_label("Your message")).to_have_value("Are you there?")
    expect(page.get_by_text("Bad Gateway")).to_have_count(0)

"""The same guide in a browser without JavaScript: plain forms, and pages that refresh themselves."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import (
    CARD,
    DISCONNECTED,
    QUESTION,
    arrive,
    button,
    card,
    fill_in,
    heading,
    is_whole,
    pick,
)
from tests.terminal import Demo
from tests.world import Microsoft

Prepare = Callable[[str], str]


@pytest.fixture
def plain(browsers: Browsers) -> Page:
    """A browser without JavaScript, as narrow as a telephone."""
    return browsers.open(javascript=False, width=390)


def test_it_works(demo: Demo, plain: Page, sandbox: Microsoft, account: str, member: Prepare) -> None:
    email = member("charlie")

    # 1. The deep link survives the sign-in.
    plain.goto(f"{demo.url}{CARD}")
    fill_in(plain, email)
    plain.wait_for_url(f"{demo.url}{CARD}")
    expect(card(plain)).to_contain_text("Not connected")

    # 2. Connect, and watch the first sync: the page refreshes itself.
    button(plain, "Connect to Microsoft").click()
    sandbox.breaks("delay", "delta", delay=4, times=1)
    pick(plain, demo, account)
    expect(plain.get_by_text("Outlook Calendar is connected")).to_be_visible()
    expect(card(plain).get_by_text("Syncing", exact=True)).to_be_visible()
    expect(card(plain).get_by_text("Connected", exact=True)).to_be_visible()
    expect(card(plain)).to_contain_text(account)

    # 3. The agenda.
    plain.get_by_role("link", name="Agenda", exact=True).click()
    expect(plain.get_by_role("main").locator("li.event.is-yours").first).to_be_visible()

    # 4. The question is a page; Cancel leads back; Disconnect leads through the progress to the receipt.
    plain.get_by_role("link", name="Manage Integrations").click()
    button(plain, "Disconnect from Microsoft").click()
    expect(plain.get_by_role("heading", level=1, name=QUESTION)).to_be_visible()
    assert re.search(r"/connections/\w+/disconnect\??$", plain.url)
    expect(plain.get_by_role("main")).to_contain_text("Ends 1 subscription")
    button(plain, "Cancel").click()
    expect(plain.get_by_role("heading", level=1, name="Manage Integrations")).to_be_visible()
    button(plain, "Disconnect from Microsoft").click()
    sandbox.breaks("delay", "subscriptions", delay=4, times=1)
    button(plain, "Disconnect").click()
    expect(plain.get_by_role("heading", level=1, name="Disconnecting Outlook Calendar")).to_be_visible()
    expect(plain.get_by_role("main")).to_contain_text("Step 2 of 9: End notifications")
    receipt = arrive(plain)
    is_whole(plain)
    expect(plain.get_by_role("main")).to_contain_text("1 subscription deleted at Microsoft")
    plain.reload()
    expect(plain.get_by_role("heading", level=1, name=DISCONNECTED)).to_be_visible()
    plain.get_by_role("main").get_by_role("link", name="Back to Manage Integrations").click()
    expect(card(plain)).to_contain_text("Not connected")
    plain.go_back()
    plain.wait_for_url(receipt)
    is_whole(plain)

    # 5. What Microsoft still holds.
    assert sandbox.holds(account)["subscriptions"] == []


def test_help_works_as_pages(demo: Demo, plain: Page, member: Prepare) -> None:
    email = member("charlie")
    plain.goto(f"{demo.url}{CARD}")
    fill_in(plain, email)
    button(plain, "Help").click()
    expect(heading(plain, "For the page you were on")).to_be_visible()
    plain.get_by_role("link", name=re.compile("^Disconnect Outlook Calendar")).first.click()
    expect(plain.get_by_role("heading", level=1, name="Disconnect Outlook Calendar")).to_be_visible()
    button(plain, "Yes").click()
    expect(button(plain, "Yes")).to_have_attribute("aria-pressed", "true")
    button(plain, "No").click()
    message = "Nobody told me about the cake."
    plain.get_by_label("Your message").fill(message)
    button(plain, "Send").click()
    expect(plain.get_by_role("log")).to_contain_text(message)


def test_a_refused_consent_comes_back_calmly(demo: Demo, plain: Page, account: str, member: Prepare) -> None:
    email = member("charlie")
    plain.goto(f"{demo.url}{CARD}")
    fill_in(plain, email)
    button(plain, "Connect to Microsoft").click()
    pick(plain, demo, account, "Cancel")
    expect(plain.get_by_text("Nothing was connected")).to_be_visible()
    expect(button(plain, "Connect to Microsoft")).to_be_visible()

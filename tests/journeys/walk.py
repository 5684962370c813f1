"""Verbs for a browser: sign in, connect, disconnect, and what every page must be."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.accessible import violations
from tests.terminal import Demo
from tests.world import PASSWORD

CARD = "/integrations/outlook-calendar"
DISCONNECTED = "Outlook Calendar is disconnected"
QUESTION = "Disconnect Outlook Calendar?"
SMALL = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary')].filter((each) => {
  const box = each.getBoundingClientRect(), style = getComputedStyle(each);
  if (!box.width || !box.height || style.visibility === 'hidden' || each.closest('.visually-hidden')) return false;
  if (box.bottom < 0) return false; // the skip link, until it has focus
  if (each.type === 'radio' || each.type === 'checkbox') {
    const label = each.closest('label')?.getBoundingClientRect();
    if (label && label.height >= 24) return false;
  }
  const around = each.parentElement;
  const inText = style.display === 'inline' && [...around.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
  return !inText && (box.width < 24 || box.height < 24);
}).map((each) => each.outerHTML.slice(0, 160))"""


def button(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def heading(page: Page | Locator, name: str) -> Locator:
    return page.get_by_role("heading", name=name, exact=True)


def card(page: Page) -> Locator:
    return page.get_by_role("region", name="Outlook Calendar", exact=True)


def fill_in(page: Page, email: str) -> None:
    """The sign-in form."""
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    button(page, "Sign in").click()


def sign_in(page: Page, demo: Demo, email: str, path: str = "/") -> None:
    """Open an address and sign in on the way."""
    page.goto(f"{demo.url}{path}")
    fill_in(page, email)
    page.wait_for_url(f"{demo.url}{path}")


def pick(page: Page, demo: Demo, account: str, answer: str | None = "Accept") -> None:
    """At Microsoft: pick a person, answer the consent (None: Microsoft does not ask again)."""
    page.wait_for_url(f"{demo.sandbox_url}/**")
    button(page, account).click()
    if answer:
        button(page, answer).click()
    page.wait_for_url(f"{demo.url}/**")


def connect(page: Page, demo: Demo, account: str, answer: str | None = "Accept") -> None:
    """From the card, which is at hand, to a connected and synced one."""
    button(page, "Connect to Microsoft").click()
    pick(page, demo, account, answer)
    expect(page.get_by_text("Outlook Calendar is connected")).to_be_visible()
    synced(page)


def synced(page: Page) -> None:
    """Until the card stands still, connected."""
    expect(card(page).get_by_text("Connected", exact=True)).to_be_visible()
    expect(card(page)).not_to_contain_text("Not yet")


def ask(page: Page) -> Locator:
    """Press the card's button; the dialog that opens."""
    button(page, "Disconnect from Microsoft").click()
    dialog = page.get_by_role("dialog", name=QUESTION)
    expect(dialog).to_be_visible()
    return dialog


def arrive(page: Page) -> str:
    """Until the confirmation page has come by itself; its address."""
    page.wait_for_url(re.compile(r"/disconnections/\w+$"))
    expect(page.get_by_role("heading", level=1, name=DISCONNECTED)).to_be_visible()
    return page.url


def is_whole(page: Page) -> None:
    """The page at hand is a page, not a part of one."""
    expect(page.get_by_role("navigation", name="Main")).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(button(page, "Help")).to_have_count(1)


def focused(page: Page) -> Any:
    """The words of whatever has the focus."""
    return page.evaluate("() => (document.activeElement.ariaLabel || document.activeElement.textContent).trim()")


def faults(page: Page) -> list[str]:
    """What is wrong with how a page is built: accessibility, sizes, sideways scrolling."""
    wrong = violations(page)
    wrong += [f"smaller than 24 px: {each}" for each in page.evaluate(SMALL)]
    if page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth"):
        wrong.append("scrolls sideways")
    return wrong

"""Help in real time: a customer and a supporter in two browsers, through a disconnection that hangs and back out.

The whole demo world runs as people run it; in the middle the web server is killed, which loses and doubles nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.accessible import violations
from tests.browser import get
from tests.terminal import Demo, running
from tests.world import PASSWORD

pytestmark = pytest.mark.browser

ALICE, SAM = "alice@northwind.example", "sam@coordinoter.example"
TROUBLE = "Microsoft is not answering."
POLICY = "Content Security Policy"
COMPLAINTS: list[str] = []
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running(tmp_path_factory.mktemp("help") / "var", PORTAL_DISCONNECT_DEADLINE="600") as demo:
        yield demo


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=get(), args=["--no-sandbox"])
        yield browser
        browser.close()


def person(chromium: Browser, demo: Demo, email: str, path: str, **more: object) -> Page:
    """Somebody signed in, at a page."""
    context: BrowserContext = chromium.new_context(base_url=demo.url, **more)  # type: ignore[arg-type]
    page = context.new_page()
    page.on("console", lambda message: COMPLAINTS.append(message.text) if POLICY in message.text else None)
    page.goto(f"/sign-in?next={path}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"**{path}")
    return page


def connect(page: Page) -> None:
    page.get_by_role("button", name="Connect to Microsoft").click()
    page.get_by_role("button", name="adele@contoso.example").click()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()


def said(page: Page, place: str) -> list[str]:
    """Every message of the conversation, in the order shown."""
    return page.locator(f"{place} .entry-text").all_inner_texts()


def checked(page: Page) -> None:
    assert violations(page) == []


def test_a_failing_disconnection_is_mended_in_a_conversation(chromium: Browser, demo: Demo) -> None:
    alice = person(chromium, demo, ALICE, "/integrations")
    connect(alice)
    requests.post(
        f"{demo.sandbox_url}/desk/api/faults",
        json={"kind": "status", "endpoint": "subscriptions", "status": 503, "times": None},
        timeout=20,
    )

    # the self-check says what is wrong before anything is lost
    alice.get_by_role("button", name="Help", exact=True).click()
    alice.get_by_role("button", name="Check my connection").click()
    expect(alice.locator("#self-check")).to_contain_text("Something is not as it should be")
    expect(alice.locator("#self-check")).to_contain_text(TROUBLE)
    alice.get_by_role("button", name="Close help").click()

    # the error
    alice.get_by_role("link", name="Disconnect from Microsoft").or_(
        alice.get_by_role("button", name="Disconnect from Microsoft")
    ).click()
    alice.get_by_role("dialog").get_by_role("button", name="Disconnect", exact=True).click()
    expect(alice.locator("main")).to_contain_text(TROUBLE)

    # help that fits, and a person
    sam = person(chromium, demo, SAM, "/support", color_scheme="dark")
    alice.get_by_role("button", name="Help", exact=True).click()
    expect(alice.locator("#help-found")).to_contain_text("Microsoft is not answering")
    checked(alice)
    alice.get_by_role("link", name="Talk to a person").click()
    expect(alice.locator("#presence-panel")).to_contain_text("Sam is here")
    alice.get_by_label("Your message").fill("It hangs at **End notifications**.")
    alice.get_by_role("button", name="Send", exact=True).click()
    sam.get_by_role("link", name="Alice Ansel").click()
    expect(sam.locator("#context")).to_contain_text(f"End notifications: {TROUBLE}")
    expect(sam.locator("#context")).to_contain_text("Last self-check")
    expect(sam.locator("#whereabouts")).to_contain_text("Alice is here, on the Outlook Calendar card")
    expect(alice.locator("#state-panel")).to_have_text("Read")
    checked(sam)

    # typing, then an answer
    sam.get_by_label("Your answer").press_sequentially("Let me look.")
    expect(alice.locator("#typing-panel")).to_contain_text("Sam Sorel is writing")
    sam.get_by_role("button", name="Send the answer").click()
    expect(alice.locator("#entries-panel")).to_contain_text("Let me look.")
    expect(sam.locator("#state")).to_have_text("Read")

    # an act that is refused says why
    sam.get_by_label("because", exact=True).fill(" ")
    sam.get_by_role("button", name="Try again now").click()
    refusal = sam.locator("#act-fault")
    expect(refusal).to_contain_text("Please give a reason")

    # the web server is killed; what was said is there once, and the next message arrives as if nothing had been
    demo.worker().kill()
    alice.get_by_label("Your answer").fill("Are you still there?")
    for _ in range(20):
        alice.get_by_role("button", name="Send", exact=True).click()
        try:
            expect(alice.locator("#entries-panel")).to_contain_text("Are you still there?", timeout=2_000)
            break
        except AssertionError:
            continue
    expect(sam.locator("#entries")).to_contain_text("Are you still there?")
    wanted = ["It hangs at End notifications.", "Let me look.", "Are you still there?"]
    assert said(alice, "#entries-panel") == said(sam, "#entries") == wanted

    expect(refusal).to_contain_text("Please give a reason")  # although there was news

    # support tries the step again, and the customer is led to the receipt
    sam.get_by_label("because", exact=True).fill("Microsoft is back")
    sam.get_by_role("button", name="Try again now").click()
    expect(alice.locator("#entries-panel")).to_contain_text("tries the step “End notifications” again")
    expect(refusal).to_be_empty()
    requests.delete(f"{demo.sandbox_url}/desk/api/faults", timeout=20)  # the run may be quicker than support
    alice.wait_for_url("**/disconnections/*", timeout=60_000)
    expect(alice.get_by_role("heading", level=1)).to_have_text("Outlook Calendar is disconnected")
    expect(alice.locator("#entries-panel")).to_contain_text("tries the step “End notifications” again")
    expect(sam.locator("#context")).to_contain_text("Our tokens were erased on")

    # support sees where the customer is, and when they went away
    expect(sam.locator("#whereabouts")).to_contain_text("Alice is here, on the page of a disconnection")
    alice.goto("about:blank")
    expect(sam.locator("#whereabouts")).to_contain_text("Alice left a moment ago", timeout=60_000)  # see KEEP_ALIVE

    # a happy face
    alice.goto("/integrations?help=article:disconnect-outlook-calendar")
    alice.locator("#answer-panel").get_by_role("button", name="Yes").click()
    expect(alice.locator("#answer-panel")).to_contain_text("we are glad")
    sam.goto("/support/articles")
    expect(sam.get_by_role("row", name="disconnect-outlook-calendar")).to_be_visible()
    assert not COMPLAINTS
    checked(sam)


def test_on_a_phone_the_panel_is_full_height_and_works_by_keyboard(chromium: Browser, demo: Demo) -> None:
    page = person(chromium, demo, "bob@northwind.example", "/agenda", viewport={"width": 320, "height": 640})
    page.get_by_role("button", name="Help", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#help-panel h2")).to_be_focused()
    box = page.locator("#help-panel").bounding_box()
    assert box is not None
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 320, 640)
    page.get_by_label("Search all articles").fill("administrator")
    expect(page.locator("#help-found")).to_contain_text("Why my administrator must approve")
    checked(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.keyboard.press("Escape")  # empties the search
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Help", exact=True)).to_be_focused()


def test_drafts_stay_and_go_with_the_sign_in_and_tabs_keep_in_step(chromium: Browser, demo: Demo) -> None:
    first = person(chromium, demo, "dana@northwind.example", "/chat")
    first.get_by_label("Your message").fill("Hello from Dana")
    first.get_by_role("button", name="Send", exact=True).click()
    expect(first.locator("#entries-page")).to_contain_text("Hello from Dana")
    second = first.context.new_page()
    second.goto("/chat")
    second.get_by_label("Your answer").fill("From the second tab")
    second.get_by_role("button", name="Send", exact=True).click()
    expect(first.locator("#entries-page")).to_contain_text("From the second tab")
    first.get_by_label("Your answer").fill("half a thought")
    first.reload()
    expect(first.get_by_label("Your answer")).to_have_value("half a thought")
    first.get_by_role("button", name="Sign out").click()
    first.wait_for_url("**/sign-in")
    assert "half a thought" not in first.evaluate("JSON.stringify([sessionStorage, localStorage])")


def test_a_stop_does_not_wait_for_open_streams(chromium: Browser, tmp_path: Path) -> None:
    with running(tmp_path / "var") as demo:
        page = person(chromium, demo, ALICE, "/agenda")
        page.wait_for_timeout(500)
        began = time.monotonic()
        assert demo.interrupt() == 0
        assert time.monotonic() - began < 15

"""Impatience: a double click, two tabs, and a card that was left open. One disconnection, one receipt."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from playwright.sync_api import Page, Request, Route, expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import CARD, arrive, ask, button, card, connect, pick, sign_in, synced
from tests.terminal import Demo, until
from tests.world import Microsoft

Prepare = Callable[[str], str]
Ask = Callable[..., list[tuple[Any, ...]]]


def beside(page: Page, demo: Demo) -> Page:
    """Another tab of the same browser, at the same card."""
    other = page.context.new_page()
    other.goto(f"{demo.url}{CARD}")
    synced(other)
    return other


def hold_looks(page: Page) -> Callable[[], None]:
    """Keep the card of a tab from asking for itself; returns what lets its requests go."""
    held: list[Route] = []
    is_over: list[bool] = []
    page.route(
        "**/integrations/outlook-calendar/card?*",
        lambda route: route.continue_() if is_over else held.append(route),
    )

    def let_go() -> None:
        page.wait_for_timeout(100)  # lets the browser's requests in
        assert held
        is_over.append(True)
        for each in held:
            each.continue_()

    return let_go


def test_a_double_click_is_one_disconnection(
    demo: Demo, page: Page, account: str, member: Prepare, rows: Ask, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    before = rows("SELECT count(*) FROM disconnections")[0][0]
    sandbox.breaks("delay", "subscriptions", delay=1, times=1)
    button(ask(page), "Disconnect").dblclick()
    receipt = arrive(page).rsplit("/", 1)[1]
    assert rows("SELECT count(*) FROM disconnections")[0][0] == before + 1
    assert rows("SELECT count(*) FROM receipts WHERE disconnection_id = ?", receipt) == [(1,)]


def test_two_tabs_end_at_the_same_receipt(
    demo: Demo, page: Page, account: str, member: Prepare, rows: Ask, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    other = beside(page, demo)
    before = rows("SELECT count(*) FROM disconnections")[0][0]
    first, second = button(ask(page), "Disconnect"), button(ask(other), "Disconnect")
    sandbox.breaks("delay", "subscriptions", delay=2, times=1)
    first.click()
    second.click()
    expect(card(page)).to_contain_text("Disconnecting")
    expect(card(other)).to_contain_text("Disconnecting")
    assert arrive(page) == arrive(other)
    assert rows("SELECT count(*) FROM disconnections")[0][0] == before + 1


def test_a_question_left_open_in_another_tab_is_overtaken(
    demo: Demo, page: Page, account: str, member: Prepare, rows: Ask
) -> None:
    """What was answered here is no question there any more: the other tab follows to the same receipt by itself."""
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    other = beside(page, demo)
    before = rows("SELECT count(*) FROM disconnections")[0][0]
    dialog = ask(other)
    button(ask(page), "Disconnect").click()
    receipt = arrive(page)
    assert arrive(other) == receipt
    expect(dialog).to_have_count(0)
    assert rows("SELECT count(*) FROM disconnections")[0][0] == before + 1


def test_a_card_that_looks_when_all_is_over_follows_all_the_same(
    demo: Demo, page: Page, account: str, member: Prepare
) -> None:
    """A disconnection may be quicker than the other tab's browser: what it shows then is gone, and it is told where."""
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    other = beside(page, demo)
    let_go = hold_looks(other)
    button(ask(page), "Disconnect").click()
    receipt = arrive(page)
    let_go()
    assert arrive(other) == receipt


def test_two_that_ended_meanwhile_lead_away_once(
    demo: Demo, page: Page, sandbox: Microsoft, account: str, member: Prepare, rows: Ask
) -> None:
    """Both stand on the card of a tab that looks late, each with its receipt; the person is led to one of them."""
    second = f"other-{account}"
    sandbox.desk("POST", "accounts", address=second, name="The Other Account")
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    button(page, "Connect another account").click()
    pick(page, demo, second)
    expect(card(page).get_by_text("Connected", exact=True)).to_have_count(2)
    other = page.context.new_page()
    other.goto(f"{demo.url}{CARD}")
    let_go = hold_looks(other)
    for (each,) in rows(
        "SELECT id FROM connections WHERE state = 'connected' AND account_address IN (?, ?)", account, second
    ):
        page.goto(f"{demo.url}/connections/{each}/disconnect")
        button(page.get_by_role("main"), "Disconnect").click()
        arrive(page)
    led: list[str] = []
    other.on("request", lambda request: led.append(request.url) if "/disconnections/" in request.url else None)
    let_go()
    expect(card(other).get_by_role("link", name="See the receipt")).to_have_count(2)
    assert [arrive(other)] == led


def test_progress_that_arrives_late_hears_what_was_said_meanwhile(
    demo: Demo, page: Page, account: str, member: Prepare, rows: Ask
) -> None:
    """The last step's event comes while the first progress is still on its way: nothing would be said after it."""
    page.add_init_script("window.setInterval = () => 0")  # only the stream says when to look
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)

    def late(route: Route) -> None:
        before = rows("SELECT count(*) FROM receipts")[0][0]
        answer = route.fetch()
        until(lambda: rows("SELECT count(*) FROM receipts")[0][0] > before, "the receipt")
        page.wait_for_timeout(500)  # lets the stream's last words in
        route.fulfill(response=answer)

    dialog = ask(page)
    page.route("**/card?*", lambda route: None)  # the card's own look, which would help out, never ends
    page.route("**/connections/*/disconnect", late)
    button(dialog, "Disconnect").click()
    arrive(page)


def test_a_card_at_rest_looks_when_the_stream_says_that_something_was_missed(
    demo: Demo, page: Page, account: str, member: Prepare
) -> None:
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    synced(page)
    said = "document.querySelector('[id^=live]').dispatchEvent(new Event('live-all', {bubbles: true}))"
    with page.expect_response("**/integrations/outlook-calendar/card?*"):
        page.evaluate(said)


def test_what_the_stream_says_once_is_looked_at_once(
    demo: Demo, page: Page, account: str, member: Prepare, rows: Ask
) -> None:
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    page.reload()  # what was said of the sync is behind us
    synced(page)
    looks: list[Request] = []
    page.on("request", lambda request: looks.append(request) if "/card?" in request.url else None)
    [(dana,)] = rows("SELECT id FROM members WHERE email LIKE 'dana@%'")
    for said in (1, 2):
        with page.expect_response("**/card?*"), closing(sqlite3.connect(demo.var / "portal.sqlite3")) as connection:
            values = (f"member:{dana}", "live-connections", "", "2026-01-01 00:00:00")
            connection.execute('INSERT INTO live_events ("to", what, data, at) VALUES (?, ?, ?, ?)', values)
            connection.commit()
        page.wait_for_timeout(500)  # for a look that should not be
        assert len(looks) == said


def test_nobody_is_led_away_in_the_middle_of_a_sentence(demo: Demo, page: Page, account: str, member: Prepare) -> None:
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    button(page, "Help").click()
    page.get_by_role("link", name="Talk to a person").click()
    text = page.get_by_role("dialog").get_by_role("textbox")
    text.fill("Before I disconnect, could you")
    other = page.context.new_page()
    other.goto(f"{demo.url}{CARD}")
    button(ask(other), "Disconnect").click()
    receipt = arrive(other)
    expect(card(page).get_by_role("link", name="See the receipt")).to_be_visible()
    page.wait_for_timeout(2000)  # longer than it takes to be led on
    expect(text).to_be_focused()
    expect(text).to_have_value("Before I disconnect, could you")
    card(page).get_by_role("link", name="See the receipt").click()
    assert arrive(page) == receipt


def test_a_card_at_rest_follows_without_a_stream(
    demo: Demo, page: Page, browsers: Browsers, account: str, member: Prepare
) -> None:
    browsers.expected = ("503",)  # what the portal answers when it has no stream left
    sign_in(page, demo, member("dana"), CARD)
    connect(page, demo, account)
    other = page.context.new_page()
    other.route("**/live?*", lambda route: route.fulfill(status=503))
    other.goto(f"{demo.url}{CARD}")
    synced(other)
    button(ask(page), "Disconnect").click()
    arrive(page)
    expect(card(other).get_by_text("Connected", exact=True)).to_have_count(0)


def test_a_tab_whose_stream_comes_after_the_sign_out_is_emptied_as_well(
    demo: Demo, page: Page, browsers: Browsers
) -> None:
    browsers.expected = ("status of 401",)
    sign_in(page, demo, "sam@coordinoter.example", "/support")
    other = page.context.new_page()
    held: list[Route] = []
    other.route("**/live?*", lambda route: held.append(route))
    other.goto(f"{demo.url}/chat")
    until(lambda: other.wait_for_timeout(50) or held, "the stream's request")
    button(page, "Sign out").click()
    expect(page).to_have_url(f"{demo.url}/sign-in")
    held[0].continue_()
    expect(other.get_by_role("link", name="Sign in", exact=True).first).to_be_visible()


def test_a_script_that_comes_late_costs_no_page_its_stream(demo: Demo, page: Page) -> None:
    def late(route: Route) -> None:
        page.wait_for_timeout(500)
        route.continue_()

    page.route("**/hx-sse.min.js*", late)
    with page.expect_response(re.compile(r"/live\?")) as stream:
        sign_in(page, demo, "sam@coordinoter.example", "/support")
    assert stream.value.status == 200


def test_signing_out_in_one_tab_empties_the_other(demo: Demo, page: Page, browsers: Browsers) -> None:
    """Nothing remains for the next person, whichever tab they find; a desk would else go on looking attended."""
    browsers.expected = ("status of 401",)  # when its stream comes after the sign-out
    sign_in(page, demo, "sam@coordinoter.example", "/support")
    other = page.context.new_page()
    other.goto(f"{demo.url}/chat")
    expect(other.get_by_role("heading", name="Talk to support")).to_be_visible()
    button(page, "Sign out").click()
    expect(page).to_have_url(f"{demo.url}/sign-in")
    other.bring_to_front()  # one in the background has no stream, and finds out as soon as it is looked at
    expect(other.get_by_role("link", name="Sign in", exact=True).first).to_be_visible()
    expect(other.get_by_text("Sam Sorel")).to_have_count(0)

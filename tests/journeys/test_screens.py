"""Every page in both states: accessible (axe-core), big enough to press, and usable at 320 px, in light and dark."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import CARD, arrive, ask, button, card, connect, faults, sign_in
from tests.surfer import Surfer
from tests.terminal import Demo
from tests.world import Microsoft

Prepare = Callable[[str], str]
Ask = Callable[..., list[tuple[Any, ...]]]
VIEWS = ((320, "dark"), (1280, "light"))
PAINTED = """async () => {
  const moves = (each) => each.playState === 'running' && each.effect.getComputedTiming().iterations !== Infinity;
  for (let still = 0; still < 5; still = document.getAnimations().some(moves) ? 0 : still + 1)
    await new Promise(requestAnimationFrame);
}"""


class Look:
    """Looks at a page in each view, or in one after the other in turn, and collects what is wrong with it."""

    def __init__(self, *, in_turn: bool) -> None:
        self.wrong: list[str] = []
        self.turns = itertools.cycle(VIEWS) if in_turn else None

    def __call__(self, page: Page, what: str, views: tuple[tuple[int, Any], ...] = ()) -> None:
        for width, scheme in views or ((next(self.turns),) if self.turns else VIEWS):
            page.set_viewport_size({"width": width, "height": 800})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(PAINTED)
            self.wrong += [f"{what} at {width} px, {scheme}: {fault}" for fault in faults(page)]


@pytest.fixture(params=["each page in one view", pytest.param("in each view", marks=pytest.mark.long)])
def look(request: pytest.FixtureRequest) -> Look:
    return Look(in_turn=request.param == "each page in one view")


def test_looking_can_fail(demo: Demo, browsers: Browsers) -> None:
    """The checks themselves: plant one fault of each kind and see it named."""
    browsers.expected = ("img-src",)
    page = browsers.open()
    page.goto(f"{demo.url}/help")
    assert faults(page) == []
    page.evaluate("""() => document.querySelector('main').insertAdjacentHTML('beforeend',
      '<button class="visually-wide">.</button><img src="data:,"><div>' + 'x'.repeat(400) + '</div>')""")
    page.evaluate("""() => {
      const small = document.querySelector('button.visually-wide');
      Object.assign(small.style, {width: '10px', height: '10px', padding: 0});
      document.querySelector('main div:last-of-type').style.whiteSpace = 'nowrap';
    }""")
    found = " ".join(faults(page))
    for fault in ("image-alt", "smaller than 24 px", "scrolls sideways"):
        assert fault in found


def test_before_anybody_signs_in(demo: Demo, page: Page, look: Look) -> None:
    page.goto(f"{demo.url}/sign-in")
    look(page, "sign-in")
    button(page, "Help").click()
    expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    look(page, "help panel of the sign-in")
    page.goto(f"{demo.url}/help")
    look(page, "help centre")
    for path in sorted(page.locator("main a[href^='/help/']").evaluate_all("all => all.map(each => each.pathname)")):
        page.goto(f"{demo.url}{path}")
        look(page, path)
    assert not look.wrong, "\n".join(look.wrong)


def test_a_refused_sign_in(demo: Demo, browsers: Browsers, look: Look) -> None:
    browsers.expected = ("422",)
    page = browsers.open()
    page.goto(f"{demo.url}/sign-in")
    page.get_by_label("Email").fill("nobody@northwind.example")
    page.get_by_label("Password").fill("wrong")
    button(page, "Sign in").click()
    expect(page.get_by_role("alert").filter(has_text="do not belong together")).to_be_visible()
    look(page, "refused sign-in")
    assert not look.wrong, "\n".join(look.wrong)


def test_nothing_here_and_nothing_for_you(demo: Demo, browsers: Browsers, member: Prepare, look: Look) -> None:
    browsers.expected = ("404", "403")
    page = browsers.open()
    sign_in(page, demo, member("bob"))
    for path in ("/nowhere", "/support"):
        page.goto(f"{demo.url}{path}")
        look(page, path)
    assert not look.wrong, "\n".join(look.wrong)


def test_not_connected(demo: Demo, page: Page, member: Prepare, look: Look) -> None:
    sign_in(page, demo, member("bob"))
    for path in ("/", "/agenda", "/integrations", CARD, "/help", "/chat"):
        page.goto(f"{demo.url}{path}")
        look(page, f"{path}, not connected")
    assert not look.wrong, "\n".join(look.wrong)


def test_connected(demo: Demo, page: Page, account: str, member: Prepare, look: Look, rows: Ask) -> None:
    sign_in(page, demo, member("bob"), CARD)
    connect(page, demo, account)
    look(page, "card just connected")
    (connection,) = rows("SELECT id FROM connections WHERE account_address = ?", account)[0]
    for path in ("/", "/agenda", "/integrations", f"/connections/{connection}/disconnect", f"/self-check/{connection}"):
        page.goto(f"{demo.url}{path}")
        look(page, f"{path.replace(connection, '...')}, connected")
    page.goto(f"{demo.url}{CARD}")
    ask(page)
    look(page, "open dialog")
    page.keyboard.press("Escape")
    for width, scheme in VIEWS:  # the panel lies over narrow pages, and stands beside wide ones
        page.set_viewport_size({"width": width, "height": 800})
        button(page, "Help").click()
        panel = page.get_by_role("dialog")
        expect(panel.get_by_role("heading", name="Help", exact=True)).to_be_focused()
        look(page, "help panel", ((width, scheme),))
        panel.locator("#help-found").get_by_role("link").first.click()
        expect(panel.get_by_text("Did this answer your question?")).to_be_visible()
        look(page, "article in the panel", ((width, scheme),))
        button(panel, "Yes").click()
        expect(button(panel, "Yes")).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        expect(panel).to_have_count(0)
    assert not look.wrong, "\n".join(look.wrong)


def test_on_the_way_out_and_after(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft, look: Look
) -> None:
    sign_in(page, demo, member("bob"), CARD)
    connect(page, demo, account)
    sandbox.breaks("drop", "subscriptions", times=None)
    button(ask(page), "Disconnect").click()
    expect(card(page)).to_contain_text("Microsoft is not answering")
    look(page, "card with trouble")
    address = card(page).locator("form[action$='/erase-now']").get_attribute("action")
    assert address is not None
    page.goto(f"{demo.url}{address.removesuffix('/erase-now')}")
    expect(page.get_by_role("heading", level=1, name="Disconnecting Outlook Calendar")).to_be_visible()
    look(page, "progress page with trouble")
    button(page, "Erase now").click()
    arrive(page)
    look(page, "receipt with every voice")
    assert not look.wrong, "\n".join(look.wrong)


def test_a_card_that_asks_for_news_dims_no_button(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft
) -> None:
    sign_in(page, demo, member("bob"), CARD)
    connect(page, demo, account)
    sandbox.breaks("drop", "subscriptions", times=None)
    button(ask(page), "Disconnect").click()
    expect(card(page)).to_contain_text("Microsoft is not answering")
    held: list[Route] = []
    page.route("**/disconnections/**", lambda route: held.append(route))  # no answer comes for now
    dims = "each => getComputedStyle(each).opacity"
    news = page.locator("[id^=disconnection-].htmx-request")
    page.evaluate("document.body.dispatchEvent(new Event('live-all'))")
    expect(news).to_have_count(1)
    erase_now = button(news, "Erase now")
    assert erase_now.evaluate(dims) == "1"
    erase_now.click()
    expect(erase_now).to_be_disabled()
    assert erase_now.evaluate(dims) == "0.6", "the one that was pressed is"
    page.unroute("**/disconnections/**")  # lets go of what was held
    arrive(page)


def test_needs_attention_and_notices(
    demo: Demo, page: Page, account: str, member: Prepare, sandbox: Microsoft, look: Look
) -> None:
    sign_in(page, demo, member("bob"), CARD)
    button(page, "Connect to Microsoft").click()
    button(page, account).click()
    button(page, "Cancel").click()
    expect(page.get_by_text("Nothing was connected", exact=True)).to_be_visible()
    look(page, "notice of a refused consent")
    connect(page, demo, account)
    sandbox.desk("POST", f"accounts/{account}/withdraw", tenant_wide=False)
    sandbox.desk("POST", f"accounts/{account}/expire-tokens", kinds=["access"])
    button(page, "Sync now").click()
    expect(card(page).get_by_text("Needs attention", exact=True)).to_be_visible()
    look(page, "card that needs attention")
    page.goto(f"{demo.url}/")
    look(page, "home that needs attention")
    assert not look.wrong, "\n".join(look.wrong)


def test_what_the_administrator_and_support_see(
    demo: Demo, page: Page, browsers: Browsers, member: Prepare, look: Look, rows: Ask
) -> None:
    sign_in(page, demo, member("dana"), "/business")
    look(page, "business")
    page.goto(f"{demo.url}/business/permissions")
    look(page, "question of the administrator")
    bob = Surfer(demo.url)
    bob.sign_in("bob@northwind.example")
    bob.get("/chat")
    text = "Hello? **Is** anybody there? " + "Since this morning it says that it hangs. " * 4
    bob.press("Send", text=text, article="disconnect-outlook-calendar")
    (conversation,) = rows("SELECT id FROM conversations ORDER BY started_at DESC LIMIT 1")[0]
    desk = browsers.open()
    sign_in(desk, demo, "sam@coordinoter.example", "/support")
    look(desk, "queue")
    for path in (f"/support/conversations/{conversation}", "/support/articles"):
        desk.goto(f"{demo.url}{path}")
        look(desk, path.replace(conversation, "..."))
    assert not look.wrong, "\n".join(look.wrong)

"""Portal and Microsoft on different sites, as in life: cookies are SameSite, and forms may lead only where we say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import Browsers
from tests.journeys.walk import CARD, arrive, ask, button, card, connect, pick, sign_in
from tests.terminal import Demo, free_port, running
from tests.world import Microsoft

ADELE = "adele@contoso.example"


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo world of its own whose portal is reached as localhost, while its sandbox stays at 127.0.0.1."""
    port = free_port()
    var = tmp_path_factory.mktemp("elsewhere") / "var"
    with running(var, port=port, PORTAL_BASE_URL=f"http://localhost:{port}") as started:
        yield started


def test_it_works(elsewhere: Demo, browsers: Browsers) -> None:
    page, microsoft = browsers.open(), Microsoft(elsewhere.sandbox_url)
    assert "//localhost:" in elsewhere.url
    assert "//127.0.0.1:" in elsewhere.sandbox_url
    sign_in(page, elsewhere, "alice@northwind.example", CARD)
    connect(page, elsewhere, ADELE)
    assert page.url == f"{elsewhere.url}{CARD}"
    button(ask(page), "Disconnect").click()
    receipt = arrive(page)
    assert receipt.startswith(elsewhere.url)
    assert microsoft.holds(ADELE)["subscriptions"] == []
    button(page, "Check again").click()  # to the other site and back, without a page
    page.wait_for_url(receipt)
    expect(page.locator("#afterwards")).to_contain_text("Still there")


def test_without_javascript(elsewhere: Demo, browsers: Browsers) -> None:
    page = browsers.open(javascript=False)
    sign_in(page, elsewhere, "bob@northwind.example", CARD)
    button(page, "Connect to Microsoft").click()
    pick(page, elsewhere, "megan@outlook.example")
    expect(card(page).get_by_text("Connected", exact=True)).to_be_visible()
    button(page, "Disconnect from Microsoft").click()
    button(page, "Disconnect").click()
    arrive(page)


def test_the_cookies_are_those_that_make_it_hold(elsewhere: Demo, browsers: Browsers) -> None:
    page = browsers.open()
    sign_in(page, elsewhere, "bob@northwind.example", CARD)
    button(page, "Connect to Microsoft").click()
    button(page, "admin@contoso.example").click()
    expect(button(page, "Accept")).to_be_visible()
    cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
    session = cookies["coordinoter_session"]
    assert session["httpOnly"]
    assert session["sameSite"] == "Lax"
    ours = {name for name, cookie in cookies.items() if cookie["domain"] == "localhost"}
    theirs = {name for name, cookie in cookies.items() if cookie["domain"] == "127.0.0.1"}
    assert theirs, "the sandbox remembers who signed in"
    assert not ours & theirs, "cookies ignore ports: on one host equal names would overwrite each other"

"""Manage Integrations: the card in each of its states, as a page and as a part of one."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import Tag
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Copy
from portal.models.connection import NEEDS_ATTENTION
from tests.world import CARD, HTMX, Visitor, World

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"
FRAGMENT = f"{CARD}/card"


def words(visitor: Visitor) -> str:
    return re.sub(r"\s+", " ", visitor.soup.get_text(" ", strip=True))


def test_it_works(alice: Visitor) -> None:
    page = alice.get("/integrations")
    assert page.h1 is not None
    assert page.h1.get_text() == "Manage Integrations"
    card = page.find(id="card-outlook-calendar")
    assert card is not None
    assert card.h2 is not None
    assert card.h2.get_text() == "Outlook Calendar"
    assert "Not connected" in words(alice)
    assert "Read your calendars and events" in words(alice), "the card itself says what is asked for and why"
    assert alice.form("Connect to Microsoft")["action"] == f"{CARD}/connect"


def test_the_navigation_marks_where_we_are(alice: Visitor) -> None:
    for path in ("/integrations", CARD):
        page = alice.get(path)
        assert [link.get_text(strip=True) for link in page.select('nav [aria-current="page"]')] == [
            "Manage Integrations"
        ]


def test_the_deep_link_lands_on_the_card(alice: Visitor) -> None:
    card = alice.get(CARD).select_one("#card-outlook-calendar h2")
    assert card is not None
    assert card.has_attr("autofocus")
    card = alice.get("/integrations").select_one("#card-outlook-calendar h2")
    assert card is not None
    assert not card.has_attr("autofocus")


def test_the_deep_link_survives_the_sign_in(anybody: Visitor) -> None:
    answer = anybody.client.get(CARD)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.location).query)["next"] == [CARD]
    anybody.get(answer.location)
    anybody.press("Sign in", email="alice@northwind.example", password="integrations-demo")
    assert anybody.page is not None
    assert anybody.page.request.path == CARD
    assert anybody.soup.find(id="card-outlook-calendar") is not None


def test_a_boosted_deep_link_survives_the_sign_in_too(anybody: Visitor) -> None:
    """htmx follows links of a help article: the way on is where the link leads, not the article."""
    boosted = {"HX-Request": "true", "HX-Boosted": "true", "HX-Current-URL": "http://localhost/help/x"}
    answer = anybody.client.get(CARD, headers={**boosted, "HX-Request-Type": "full"})
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.location).query)["next"] == [CARD]


def test_a_first_sync_is_followed(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    alice.connect(ADELE)
    page = alice.get(CARD)
    card = page.find(id="card-outlook-calendar")
    assert card is not None
    assert card["hx-get"] == f"{FRAGMENT}?shown={world.connection().id}"
    followed = card["hx-trigger"]
    assert page.select('noscript meta[http-equiv="refresh"]'), "without JavaScript the page refreshes itself"
    assert "Syncing" in words(alice)
    assert "Not yet" in words(alice)
    status = [tag.get_text(strip=True) for tag in card.select('[role="status"]')]
    assert "Waiting for the first calendars" in status, "progress is announced to screen readers"
    world.work()
    page = alice.get(CARD)
    card = page.find(id="card-outlook-calendar")
    assert card is not None
    assert card.get("hx-trigger") != followed, "what stands still is not asked for all the time"
    assert not page.select('meta[http-equiv="refresh"]')


def test_the_card_shows_account_calendars_copies_and_last_sync(world: World) -> None:
    alice = world.connected()
    names = list(db.session.scalars(select(Calendar.name)))
    copies = db.session.scalar(select(func.count()).select_from(Copy))
    synced = world.connection().last_sync_at
    assert synced is not None
    card = alice.get(CARD).find(id="card-outlook-calendar")
    assert card is not None
    facts = {
        str(term.get_text(strip=True)): str(value.get_text(" ", strip=True))
        for term, value in zip(card.find_all("dt"), card.find_all("dd"), strict=True)
    }
    assert ADELE in words(alice)
    assert "work or school account" in words(alice)
    assert sorted(facts["Calendars"].split(", ")) == sorted(names)
    assert facts["Copied events"] == str(copies)
    stamp = card.find("time")
    assert stamp is not None
    assert str(stamp["datetime"])[:16] == f"{synced:%Y-%m-%dT%H:%M}"
    assert "Connected" in words(alice)


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        ("consent_withdrawn", "Permission was withdrawn at Microsoft"),
        ("token_unreadable", "We cannot read our own key"),
        ("a reason of next year", "Syncing has stopped"),
    ],
)
def test_needs_attention_says_why_and_offers_both_ways_on(world: World, reason: str, title: str) -> None:
    alice = world.connected()
    db.session.execute(
        update(Connection).values(state=NEEDS_ATTENTION, attention_reason=reason, attention_at=clock.now())
    )
    db.session.commit()
    alice.get(CARD)
    assert "Needs attention" in words(alice)
    assert title in words(alice)
    assert alice.form("Reconnect")["method"] == "post"
    assert alice.form("Disconnect from Microsoft")["method"] == "get"
    with pytest.raises(AssertionError, match="no button"):
        alice.form("Sync now")


def test_htmx_gets_the_card_alone(world: World) -> None:
    alice = world.connected()
    fragment = alice.get(FRAGMENT, htmx=True)
    assert [tag["id"] for tag in fragment.find_all(recursive=False)] == ["card-outlook-calendar"]
    page = alice.get(FRAGMENT)
    assert page.html is not None
    assert page.find(id="card-outlook-calendar") is not None


@pytest.mark.parametrize("header", [{"HX-Boosted": "true"}, {"HX-History-Restore-Request": "true"}])
def test_boosted_navigation_and_back_get_the_whole_page(alice: Visitor, header: dict[str, str]) -> None:
    for path in ("/integrations", CARD, FRAGMENT):
        answer = alice.client.get(path, headers={**HTMX, **header})
        assert "<!doctype html>" in answer.text, path


def test_a_page_of_a_member_is_kept_by_nobody(alice: Visitor) -> None:
    for headers in ({}, HTMX):
        answer = alice.client.get(FRAGMENT, headers=headers)
        assert answer.headers["Cache-Control"] == "no-store"
        assert {"HX-Request", "HX-Request-Type"} <= set(answer.vary)


def test_each_account_is_listed_by_itself(world: World) -> None:
    alice = world.connected()
    alice.connect(MEGAN, button="Connect another account")
    world.work()
    page = alice.get(CARD)
    addresses = [tag.get_text(strip=True) for tag in page.select("#card-outlook-calendar h3")]
    assert addresses == [ADELE, MEGAN]
    targets = {form["action"] for form in page.find_all("form") if str(form["action"]).endswith("/disconnect")}
    assert len(targets) == 2
    assert "personal account" in words(alice)


def test_an_account_on_its_way_out_shows_its_progress_instead(world: World) -> None:
    alice = world.connected()
    alice.connect(MEGAN, button="Connect another account")
    world.work()
    first = db.session.scalars(select(Connection.id).where(Connection.account_address == ADELE)).one()
    alice.post(f"/connections/{first}/disconnect")
    page = alice.get(CARD)
    assert [tag.get_text(strip=True) for tag in page.select("#card-outlook-calendar h3")] == [MEGAN, "Disconnecting"]
    assert page.select('noscript meta[http-equiv="refresh"]')


def looking_again(visitor: Visitor, shown: str) -> Tag:
    """What a page that shows a connection gets when its card looks again."""
    return visitor.get(f"{FRAGMENT}?shown={shown}", htmx=True)


def test_a_page_that_shows_a_connection_is_led_to_its_receipt_however_late_it_looks(world: World) -> None:
    alice = world.connected()
    shown = world.connection().id
    assert alice.soup.find(id="card-outlook-calendar", attrs={"hx-get": f"{FRAGMENT}?shown={shown}"})
    alice.post(f"/connections/{shown}/disconnect")
    assert looking_again(alice, shown).find("h3", string="Disconnecting")
    world.work()
    led = {"hx-get": f"/disconnections/{world.disconnection().id}", "hx-target": "body"}
    assert looking_again(alice, shown).find(attrs=led)
    assert not alice.get(FRAGMENT, htmx=True).find(attrs=led), "a page that comes anew starts anew"
    assert not looking_again(world.sign_in("bob@northwind.example"), shown).find(attrs=led)


def test_pressing_something_else_meanwhile_does_not_lose_the_way(world: World) -> None:
    alice = world.connected()
    first = world.connection().id
    alice.connect(MEGAN, button="Connect another account")
    world.work()
    buttons = alice.get(CARD).select(f'form[hx-post*="/sync"]:not([hx-post^="/connections/{first}/"])')
    assert len(buttons) == 1
    alice.post(f"/connections/{first}/disconnect")
    world.work()
    alice.post(str(buttons[0]["hx-post"]), htmx=True)
    assert alice.soup.find(attrs={"hx-get": f"/disconnections/{world.disconnection().id}", "hx-target": "body"})


def test_nobody_is_led_away_from_what_was_connected_since(world: World) -> None:
    alice = world.connected()
    shown = world.connection().id
    alice.post(f"/connections/{shown}/disconnect")
    world.work()
    world.connected()
    card = looking_again(alice, shown)
    assert card.find("h3", string=ADELE)
    assert not card.find(attrs={"hx-target": "body"})


@pytest.mark.parametrize("path", ["/integrations/fax-machine", "/integrations/fax-machine/card"])
def test_another_integration_is_404(alice: Visitor, path: str) -> None:
    alice.get(path, status=404)
    alice.get(path, status=404, htmx=True)


def test_the_home_page_tells_how_it_stands(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    alice.get("/")
    assert "Not connected" in words(alice)
    alice.connect(ADELE)
    world.work()
    alice.get("/")
    assert ADELE in words(alice)
    assert "Not connected" not in words(alice)

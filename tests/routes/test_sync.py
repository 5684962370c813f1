"""Sync now, over HTTP."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Connection, Copy
from portal.models.connection import NEEDS_ATTENTION
from tests.world import CARD, HTMX, Visitor, World

ADELE = "adele@contoso.example"


def copies() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Copy)) or 0


def path_of(world: World) -> str:
    return f"/connections/{world.connection().id}/sync"


def words(visitor: Visitor) -> str:
    return re.sub(r"\s+", " ", visitor.soup.get_text(" ", strip=True))


def test_it_works(world: World) -> None:
    alice = world.connected()
    before, synced = copies(), world.connection().last_sync_at
    assert synced is not None
    world.microsoft.desk("POST", f"accounts/{ADELE}/events", count=3, calendar="Calendar")
    alice.press("Sync now")
    assert alice.page is not None
    assert alice.page.request.path == CARD
    assert "Syncing" in words(alice)
    world.work()
    assert copies() == before + 3
    after = world.connection().last_sync_at
    assert after is not None
    assert after > synced


def test_htmx_gets_the_card_which_follows_the_sync(world: World) -> None:
    alice = world.connected()
    answer = alice.post(path_of(world), htmx=True)
    assert answer.status_code == 200
    card = alice.soup.find(recursive=False)
    assert card is not None
    assert (card["id"], card["hx-get"]) == (
        "card-outlook-calendar",
        f"{CARD}/card?shown={world.connection().id}",
    )
    assert "Syncing" in words(alice)
    assert world.connection().sync_wanted_at is not None


def test_others_are_led_to_the_card(world: World) -> None:
    alice = world.connected()
    answer = alice.post(path_of(world))
    assert (answer.status_code, answer.location) == (303, CARD)


def test_asking_twice_is_harmless(world: World) -> None:
    alice = world.connected()
    before = copies()
    for _ in range(3):
        assert alice.post(path_of(world)).status_code == 303
    world.work()
    assert copies() == before
    assert world.connection().sync_wanted_at is None


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_opening_the_address_starts_nothing(world: World, headers: dict[str, str]) -> None:
    alice = world.connected()
    answer = alice.client.get(path_of(world), headers=headers)
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert world.connection().sync_wanted_at is None


def test_a_button_of_a_page_left_open_does_no_harm(world: World) -> None:
    """The account needs attention, is on its way out, or is gone; the page does not know it yet."""
    alice = world.connected()
    path = path_of(world)
    db.session.execute(
        update(Connection).values(state=NEEDS_ATTENTION, attention_reason="token_expired", attention_at=clock.now())
    )
    db.session.commit()
    assert alice.post(path).status_code == 303
    assert world.connection().sync_wanted_at is None
    alice.post(path.replace("/sync", "/disconnect"))
    calls = len(world.microsoft.calls())
    answer = alice.post(path, htmx=True)
    assert answer.status_code == 200
    assert "Disconnecting" in words(alice), "what it gets is the card as it is now"
    assert world.connection().sync_wanted_at is None
    assert len(world.microsoft.calls()) == calls
    world.work()
    assert alice.post(path).status_code == 404
    assert alice.post(path, htmx=True).status_code == 404


def test_trouble_is_told_and_passes(world: World) -> None:
    alice = world.connected()
    world.microsoft.breaks("status", "graph", status=503, times=None)
    alice.post(path_of(world))
    world.work()
    world.microsoft.mend()
    assert world.connection().sync_note == "Microsoft is not answering."
    alice.get(CARD)
    assert "Microsoft is not answering. The last sync was not finished" in words(alice)
    alice.post(path_of(world))
    world.work()
    alice.get(CARD)
    assert "Changes in Outlook arrive by themselves." in words(alice)
    assert world.connection().sync_note is None

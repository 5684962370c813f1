"""Every state a card or a disconnection can be in has a sound page, as a whole and as a part."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal import clock
from portal.db import db
from portal.models import Connection, Disconnection, DisconnectionStep
from portal.providers.base import AccessReason
from portal.web import notices
from tests.walker import Walker
from tests.world import CARD, Visitor, World


@pytest.fixture
def alice(world: World) -> Visitor:
    """Alice, connected, every page checked."""
    alice = world.connected()
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    return alice


def change(**values: object) -> None:
    db.session.execute(update(Connection).values(**values))
    db.session.commit()


def begin(world: World, alice: Visitor) -> str:
    """Confirm the disconnection; nothing works on it yet. Its address."""
    connection_id = world.connection().id
    alice.post(f"/connections/{connection_id}/disconnect", htmx=True)
    return f"/disconnections/{world.disconnection().id}"


def test_it_works(alice: Visitor) -> None:
    assert "Connected" in alice.get(CARD).get_text()
    assert "Connected" in alice.get(f"{CARD}/card", htmx=True).get_text()


def test_while_it_syncs_the_card_asks_for_itself(alice: Visitor) -> None:
    change(sync_wanted_at=clock.now(), sync_note="Reading Calendar: 120 events so far")
    card = alice.get(f"{CARD}/card", htmx=True).section
    assert card is not None
    assert str(card["hx-get"]).startswith(f"{CARD}/card?shown=")
    status = card.find(attrs={"role": "status"})
    assert status is not None
    assert status.get_text(strip=True) == "Reading Calendar: 120 events so far"
    assert alice.get(CARD).select("noscript meta[http-equiv=refresh]")


def test_at_rest_nothing_is_reloaded_without_javascript(alice: Visitor) -> None:
    assert not alice.get(CARD).select("meta[http-equiv=refresh]")


@pytest.mark.parametrize("reason", [*AccessReason, "something new"])
def test_every_reason_is_told_in_words_with_both_ways_out(alice: Visitor, reason: str) -> None:
    change(state="needs_attention", attention_reason=str(reason), attention_at=clock.now())
    page = alice.get(CARD)
    assert "Needs attention" in page.get_text()
    assert str(reason) not in page.get_text()
    assert str(alice.form("Reconnect")["hx-post"]).endswith("/reconnect")
    assert alice.form("Disconnect from Microsoft")["method"] == "get"


@pytest.mark.parametrize("kind", list(notices._WORDS))
def test_every_way_a_sign_in_can_end_is_told_once(world: World, kind: str) -> None:
    world.app.add_url_rule("/leave", "leave", lambda: notices.leave(kind) or "left")
    bob = world.sign_in("bob@northwind.example")
    bob.client.get("/leave")
    bob.client = Walker(bob.client)  # type: ignore[assignment]
    assert bob.get(CARD).find(id="notice") is not None
    assert (bob.soup.find(id="admin-text") is not None) == (kind == "admin_approval_needed")
    assert bob.get(CARD).find(id="notice") is None


def test_the_question_is_a_dialog_for_htmx_and_a_page_for_others(world: World, alice: Visitor) -> None:
    path = f"/connections/{world.connection().id}/disconnect"
    assert alice.get(path, htmx=True).select("dialog form[method=dialog]")
    page = alice.get(path)
    assert not page.select("dialog")
    assert alice.form("Cancel")["action"] == "/integrations"


def test_progress_names_the_step_at_work_and_asks_again(world: World, alice: Visitor) -> None:
    address = begin(world, alice)
    part = alice.get(address, htmx=True).section
    assert part is not None
    assert part["hx-get"] == address
    status = part.find(attrs={"role": "status"})
    assert status is not None
    assert "Step 2 of" in status.get_text()
    assert alice.get(address).select("noscript meta[http-equiv=refresh]")
    assert address in str(alice.get(CARD))


def test_trouble_is_told_with_its_end_and_a_way_to_end_it_now(world: World, alice: Visitor) -> None:
    address = begin(world, alice)
    second = db.session.scalars(select(DisconnectionStep.id).where(DisconnectionStep.position == 2)).one()
    values = {"trouble": "Microsoft is not answering.", "started_at": clock.now()}
    db.session.execute(update(DisconnectionStep).where(DisconnectionStep.id == second).values(**values))
    db.session.commit()
    words = alice.get(address).get_text(" ", strip=True)
    assert "Microsoft is not answering. Syncing has stopped. We keep trying until" in words
    alice.press("Erase now", htmx=True)
    assert "Erasing now, as you asked" in alice.soup.get_text()


def test_the_end_leads_on_to_the_receipt(world: World, alice: Visitor) -> None:
    address = begin(world, alice)
    world.work()
    part = alice.get(address, htmx=True).section
    assert part is not None
    assert part["hx-get"] == address
    assert part["hx-target"] == "body"
    receipt = alice.get(address)
    assert receipt.h1 is not None
    assert receipt.h1.get_text() == "Outlook Calendar is disconnected"
    headings = [heading.get_text() for heading in receipt.select(".voice h2")]
    assert headings[0].startswith("Only you")
    assert headings[-1] == "We did this"
    assert "Signature valid" in receipt.get_text()


def test_a_receipt_of_last_year_says_the_year(world: World, alice: Visitor) -> None:
    address = begin(world, alice)
    world.work()
    finished = clock.now() - timedelta(days=400)
    db.session.execute(update(Disconnection).values(finished_at=finished))
    db.session.commit()
    assert str(finished.year) in alice.get(address, htmx=True).get_text()

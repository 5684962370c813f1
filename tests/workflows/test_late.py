"""Notifications for a connection that was severed: known by a mark, counted on its disconnection, forgotten in time."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update

from portal import clock
from portal.db import db
from portal.models import Activity, Connection, Disconnection, EndedSubscription, Subscription
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.workflows import carry_out, counters, disconnect, late, receive
from portal.workflows.promise import Work, at
from portal.workflows.subscribe import CLIENT_STATE, LIFE
from tests.world import Visitor, World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"


def live_notes(world: World) -> list[dict[str, Any]]:
    """What Microsoft would send for the subscription of the living connection."""
    row = db.session.scalars(select(Subscription)).one()
    secret = parts().vault.open(row.connection_id, CLIENT_STATE, row.client_state_sealed)
    db.session.rollback()
    return [{"subscriptionId": row.provider_id, "clientState": secret, "changeType": "updated", "resource": "x"}]


def begin(world: World) -> str:
    """The fence, and nothing after it; returns the disconnection's id."""
    connection = world.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    return disconnection_id


def deliver(notes: list[dict[str, Any]]) -> int:
    db.session.rollback()
    return receive.notifications("outlook-calendar", json.dumps({"value": notes}).encode())


def sever(world: World, *, unreachable: bool = False) -> str:
    """Disconnect; returns the disconnection's id."""
    disconnection_id = begin(world)
    if unreachable:
        world.microsoft.breaks("status", "subscriptions", status=503, times=None)
        disconnect.erase_now(disconnection_id)
    world.work()
    world.microsoft.mend()
    return disconnection_id


def test_it_works(world: World) -> None:
    """Microsoft could not be asked to stop. What it really sends afterwards is told, on the receipt's page too."""
    alice = world.connected()
    disconnection_id = sever(world, unreachable=True)
    world.microsoft.desk("POST", f"accounts/{ADELE}/events", count=1, calendar="Calendar")
    until = time.monotonic() + 20
    while not world.disconnection().late_notifications:
        assert time.monotonic() < until, world.microsoft.desk("GET", "deliveries")
        db.session.rollback()
        time.sleep(0.05)
    page = alice.get(f"/disconnections/{disconnection_id}").get_text(" ", strip=True)
    assert "Microsoft has still sent 1 notification, the last on" in page
    assert counters.values()["late_notifications"] == 1


def test_they_are_counted_on_their_own_disconnection_and_recorded_once(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    sever(both)
    other = both.connected("bob@northwind.example", "megan@outlook.example")
    assert other
    assert deliver(notes) == 0
    assert deliver([notes[0], notes[0] | {"lifecycleEvent": "missed"}]) == 0
    row = both.disconnection()
    assert row.late_notifications == 3
    assert row.last_notification_at is not None
    event = Activity.event == "connection:notification:late"
    told = db.session.execute(select(Activity.member_id, Activity.connection_id).where(event)).all()
    assert [tuple(each) for each in told] == [(row.member_id, row.connection_id)]
    assert counters.values()["late_notifications"] == 3


def test_one_that_comes_while_the_rest_is_still_to_be_done_counts_too(both: World) -> None:
    """Its subscription was deleted at Microsoft; our row of it stays until the copies are erased."""
    both.connected()
    (note,) = live_notes(both)
    disconnection_id = begin(both)
    assert carry_out.attempt("end_notifications", disconnection_id) is None
    assert db.session.scalars(select(Subscription.ended_how)).one() is not None
    assert deliver([note]) == 0
    assert both.disconnection().late_notifications == 1


def test_each_of_a_delivery_counts_though_they_look_alike(both: World) -> None:
    """What changed is not read, so that two changes look like one; the receipt's page says how many came."""
    both.connected()
    (note,) = live_notes(both)
    sever(both)
    deliver([note | {"resource": f"Users/1/Events/{number}"} for number in range(5)])
    assert both.disconnection().late_notifications == 5
    assert counters.values()["late_notifications"] == 5


def test_a_forged_one_is_nobody_s(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    sever(both)
    deliver([notes[0] | {"clientState": "guessed"}, notes[0] | {"subscriptionId": "0" * 8}])
    assert both.disconnection().late_notifications == 0
    assert counters.values()["late_notifications"] == 2


def test_what_is_kept_leads_back_to_nothing(both: World) -> None:
    both.connected()
    (note,) = live_notes(both)
    sever(both)
    kept = " ".join(str(row) for row in db.session.execute(text("SELECT * FROM ended_subscriptions")))
    db.session.rollback()
    assert kept
    assert note["subscriptionId"] not in kept
    assert note["clientState"] not in kept
    assert both.disconnection().connection_id not in kept


def test_the_watch_forgets_the_marks_in_time_and_records_how_many_came(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    sever(both)
    deliver(notes)
    assert late.forget() == 0
    assert db.session.scalar(select(func.count()).select_from(EndedSubscription)) == 1
    db.session.execute(update(EndedSubscription).values(forget_at=clock.now() - timedelta(seconds=1)))
    db.session.commit()
    assert late.forget() == 1
    assert db.session.scalar(select(func.count()).select_from(EndedSubscription)) == 0
    told = db.session.scalar(select(Activity.detail).where(Activity.event == "watch:late"))
    assert told is not None
    assert told.startswith("1 notification until ")
    deliver(notes)
    assert both.disconnection().late_notifications == 1, "nobody knows any more whose it was"


def test_a_mark_lives_as_long_as_the_subscription_can(both: World) -> None:
    both.connected()
    ends = db.session.scalars(select(Subscription.expires_at)).one()
    db.session.rollback()
    sever(both)
    assert db.session.scalars(select(EndedSubscription.forget_at)).one() > ends + timedelta(hours=23)
    db.session.rollback()


def test_an_unreadable_client_state_holds_nothing_up(both: World) -> None:
    both.connected()
    parts().vault.destroy(both.connection().id)
    sever(both)
    assert both.disconnection().is_finished()
    assert db.session.scalar(select(func.count()).select_from(EndedSubscription)) == 0


def test_support_sees_it(world: World) -> None:
    alice: Visitor = world.connected()
    notes = live_notes(world)
    sever(world)
    deliver(notes)
    alice.get("/chat")
    alice.press("Send", text="Why do I still get mail?")
    sam = world.sign_in("sam@coordinoter.example")
    (link,) = {str(each["href"]) for each in sam.get("/support").select("a[href^='/support/conversations/']")}
    assert "Microsoft has still sent 1 notification" in sam.get(link).get_text(" ", strip=True)


def test_one_whose_making_was_never_answered_is_known_too(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    db.session.execute(update(Subscription).values(provider_id=None))
    db.session.commit()
    disconnection_id = begin(both)
    late.remember(Work(disconnection_id))
    deliver(notes)
    assert both.disconnection().late_notifications == 1, "by its client state alone"
    db.session.execute(update(Subscription).values(provider_id=notes[0]["subscriptionId"]))
    db.session.commit()
    for _ in range(2):  # from the next look on its name is known as well: it is one all the same
        late.remember(Work(disconnection_id))
    assert db.session.scalar(select(func.count()).select_from(EndedSubscription)) == 2
    db.session.rollback()
    both.work()
    deliver(notes)
    assert both.disconnection().late_notifications == 2


def several(world: World, number: int) -> list[dict[str, Any]]:
    """A severed connection's many subscriptions, among them one that is not ours and one whose secret is lost."""
    connection_id, now = world.connection().id, clock.now()
    values = {"connection_id": connection_id, "expires_at": now, "renew_at": now}
    db.session.add(Subscription(provider_id="a stray", client_state_sealed=None, **values))
    db.session.add(Subscription(provider_id="a lost one", client_state_sealed="nothing that opens", **values))
    notes = []
    for each in range(number):
        sealed = parts().vault.seal_also(connection_id, CLIENT_STATE, f"secret {each}")
        db.session.add(Subscription(provider_id=f"number {each}", client_state_sealed=sealed, **values))
        notes.append({"subscriptionId": f"number {each}", "clientState": f"secret {each}", "changeType": "updated"})
    db.session.commit()
    return [note | {"resource": "x"} for note in notes]


def test_each_of_many_is_known_however_few_are_looked_up_at_a_time(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "AT_ONCE", 1)
    both.connected()
    notes = several(both, 12)
    late.remember(Work(begin(both)))
    db.session.execute(delete(Subscription))
    db.session.commit()
    for number, note in enumerate(notes, 1):
        deliver([note])
        assert both.disconnection().late_notifications == number, note
    deliver(notes)
    assert both.disconnection().late_notifications == 24


def test_a_mark_is_kept_for_a_day_after_the_latest_end_that_there_can_be(both: World) -> None:
    """A renewal whose answer was lost moved it; one that Microsoft gave a longer life ends later still."""
    both.connected()
    disconnection_id = begin(both)
    clicked = both.disconnection().started_at
    for ends, latest in ((timedelta(hours=1), LIFE), (timedelta(days=9), timedelta(days=9))):
        db.session.execute(update(Subscription).values(expires_at=clicked + ends))
        db.session.commit()
        late.remember(Work(disconnection_id))
        kept = db.session.scalars(select(EndedSubscription.forget_at)).one()
        db.session.rollback()
        assert kept == clicked + latest + timedelta(days=1)


def test_what_is_over_is_forgotten_of_one_and_stays_of_the_others(both: World) -> None:
    """And how many came is recorded of those that any came for, once."""
    notes, severed = [], []
    for whose in (("alice@northwind.example", ADELE), ("bob@northwind.example", "megan@outlook.example")):
        both.connected(*whose)
        notes.append(live_notes(both))
        severed.append(sever_the_living(both))
    deliver(notes[0] * 3)
    deliver(notes[1] * 2)
    both.connected()
    severed.append(sever_the_living(both))
    for disconnection_id in (severed[0], severed[2]):
        over = update(EndedSubscription).where(EndedSubscription.disconnection_id == disconnection_id)
        db.session.execute(over.values(forget_at=clock.now() - timedelta(seconds=1)))
    db.session.commit()
    assert late.forget() == 3
    assert db.session.scalars(select(EndedSubscription.disconnection_id)).all() == [severed[1]]
    told = db.session.execute(select(Activity.member_id, Activity.detail).where(Activity.event == "watch:late")).all()
    first = db.session.get_one(Disconnection, severed[0])
    assert first.last_notification_at is not None
    assert [tuple(each) for each in told] == [
        (first.member_id, f"3 notifications until {at(first.last_notification_at)}")
    ]
    db.session.rollback()
    assert late.forget() == 0
    deliver(notes[1])
    assert db.session.get_one(Disconnection, severed[1]).late_notifications == 3


def sever_the_living(world: World) -> str:
    """Disconnect the one connection that lives, to the end; returns the disconnection's id."""
    row = db.session.scalars(select(Connection).where(Connection.state == CONNECTED)).one()
    begun = disconnect.begin(row.id, row.member_id)
    assert begun is not None
    disconnection_id = begun.id
    world.work()
    return disconnection_id


def test_the_last_moment_is_that_of_the_last_one(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    sever(both)
    before = clock.now()
    db.session.execute(
        update(Disconnection).values(late_notifications=1, last_notification_at=before - timedelta(days=1))
    )
    db.session.commit()
    deliver(notes)
    told = both.disconnection().last_notification_at
    assert told is not None
    assert told >= before


def test_two_deliveries_at_once_are_both_counted(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    sever(both)
    db.session.execute(update(Disconnection).values(late_notifications=Disconnection.late_notifications + 1))

    def another() -> None:
        with both.app.app_context():
            receive.notifications("outlook-calendar", json.dumps({"value": notes}).encode())

    thread = threading.Thread(target=another)
    thread.start()
    thread.join(0.7)
    assert thread.is_alive(), "it waits for the count that is being written"
    db.session.commit()
    thread.join(20)
    assert both.disconnection().late_notifications == 2

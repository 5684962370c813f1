"""Notifications for a connection that was severed: known by a mark, counted on its disconnection, forgotten in time."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, text, update

from portal import clock
from portal.db import db
from portal.models import Activity, EndedSubscription, Subscription
from portal.parts import parts
from portal.workflows import counters, disconnect, late, receive
from portal.workflows.promise import Work
from portal.workflows.subscribe import CLIENT_STATE
from tests.world import Visitor, World

ADELE = "adele@contoso.example"


def live_notes(world: World) -> list[dict[str, Any]]:
    """What Microsoft would send for the subscription of the living connection."""
    row = db.session.scalars(select(Subscription)).one()
    secret = parts().vault.open(row.connection_id, CLIENT_STATE, row.client_state_sealed)
    db.session.rollback()
    return [{"subscriptionId": row.provider_id, "clientState": secret, "changeType": "updated", "resource": "x"}]


def deliver(notes: list[dict[str, Any]]) -> int:
    db.session.rollback()
    return receive.notifications("outlook-calendar", json.dumps({"value": notes}).encode())


def sever(world: World, *, unreachable: bool = False) -> str:
    """Disconnect; returns the disconnection's id."""
    connection = world.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
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
    assert "Since then Microsoft has sent 1 more notification, the last on" in page
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
    assert db.session.scalars(select(Activity.connection_id).where(event)).all() == [row.connection_id]
    assert counters.values()["late_notifications"] == 3


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
    assert "Since then Microsoft has sent 1 more notification" in sam.get(link).get_text(" ", strip=True)


def test_one_whose_making_was_never_answered_is_known_too(both: World) -> None:
    both.connected()
    notes = live_notes(both)
    db.session.execute(update(Subscription).values(provider_id=None))
    db.session.commit()
    connection = both.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    for _ in range(2):  # from the second look on its name is known as well: it is one all the same
        db.session.rollback()
        late.remember(Work(row.id))
        db.session.execute(update(Subscription).values(provider_id=notes[0]["subscriptionId"]))
        db.session.commit()
    assert db.session.scalar(select(func.count()).select_from(EndedSubscription)) == 2
    db.session.rollback()
    both.work()
    deliver(notes)
    assert both.disconnection().late_notifications == 1

"""What the provider's deliveries do: the handshake, true ones, forged ones and rubbish."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from werkzeug.test import TestResponse

from portal import clock
from portal.db import db
from portal.models import Connection, Subscription
from portal.models.connection import DISCONNECTING
from portal.parts import parts
from portal.workflows import disconnect, receive
from portal.workflows.subscribe import CLIENT_STATE
from tests.world import Visitor, World

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"
ADDRESS = "/webhooks/outlook-calendar/mark"


def true_note(**more: Any) -> dict[str, Any]:
    """A notification as Microsoft would send it for the only subscription there is."""
    db.session.rollback()
    row = db.session.scalars(select(Subscription)).one()
    note = {
        "subscriptionId": row.provider_id,
        "clientState": parts().vault.open(row.connection_id, CLIENT_STATE, row.client_state_sealed),
        "changeType": "updated",
        "resource": "me/events/x",
        "tenantId": "11111111-2222-4333-8444-555555555555",
    }
    db.session.rollback()
    return {**note, **more}


def deliver(machine: Visitor, *notes: dict[str, Any]) -> TestResponse:
    return machine.client.post(ADDRESS, json={"value": list(notes)})


def wanted() -> list[str]:
    """The connections that are to be synced."""
    db.session.rollback()
    found = list(db.session.scalars(select(Connection.id).where(Connection.sync_wanted_at.is_not(None))))
    db.session.rollback()  # while a test waits, the delivery that it waits for needs the lock
    return found


def subscriptions() -> int:
    db.session.rollback()
    found = db.session.scalar(select(func.count()).select_from(Subscription)) or 0
    db.session.rollback()
    return found


def test_it_works(world: World) -> None:
    """An event changes at Microsoft, whose own delivery reaches the portal over a real socket."""
    world.connected()
    assert wanted() == []
    world.microsoft.desk("POST", f"accounts/{ADELE}/events", count=1, calendar="Calendar")
    until = time.monotonic() + 20
    while not wanted():
        assert time.monotonic() < until, world.microsoft.desk("GET", "deliveries")
        time.sleep(0.05)
    assert wanted() == [world.connection().id]


@pytest.mark.parametrize(
    "token",
    ["plain", "a token with spaces & signs", "<script>alert(1)</script>", "ünïcødé ✓", "Validation: a+b/c==", ""],
)
def test_the_handshake_echoes_as_plain_text(anybody: Visitor, token: str) -> None:
    answer = anybody.client.post(ADDRESS, query_string={"validationToken": token})
    assert answer.status_code == 200
    assert answer.text == token
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


def test_the_handshake_is_no_megaphone(anybody: Visitor) -> None:
    answer = anybody.client.post(ADDRESS, query_string={"validationToken": "x" * 10_000})
    assert len(answer.data) <= 4096


def test_it_is_no_page_to_open(anybody: Visitor) -> None:
    assert anybody.client.get(ADDRESS, query_string={"validationToken": "x"}).status_code == 405


def test_a_true_notification_starts_a_sync(world: World, anybody: Visitor) -> None:
    world.connected()
    answer = deliver(anybody, true_note())
    assert (answer.status_code, answer.data) == (202, b"")
    assert "Set-Cookie" not in answer.headers
    assert wanted() == [world.connection().id]


def test_many_notifications_are_one_sync(world: World, anybody: Visitor) -> None:
    world.connected()
    note = true_note()
    for _ in range(3):
        assert deliver(anybody, note, note, note).status_code == 202
    assert len(wanted()) == 1
    world.work()
    assert wanted() == []


FORGERIES: tuple[dict[str, object], ...] = (
    {"clientState": "a guess"},
    {"clientState": ""},
    {"clientState": None},
    {"clientState": ["a", "list"]},
    {"clientState": "ünïcødé"},
    {"subscriptionId": "00000000-0000-0000-0000-000000000000"},
    {"subscriptionId": ""},
    {"subscriptionId": None},
    {"subscriptionId": 7},
    {"subscriptionId": "nul\x00byte"},
    {"lifecycleEvent": "subscriptionRemoved", "clientState": "a guess"},
)


def test_forged_notifications_are_dropped_without_a_word(world: World, anybody: Visitor) -> None:
    world.connected()
    for forgery in FORGERIES:
        answer = deliver(anybody, true_note(**forgery))
        assert (answer.status_code, answer.data) == (202, b""), forgery
        assert wanted() == [], forgery
        assert subscriptions() == 1, forgery


RUBBISH = (
    *(b"", b"{", b"\xff\xfe\x00", b"null", b"[]", b"7", b'"text"', b"{}", b"[" * 100_000),
    *(b'{"value": null}', b'{"value": {}}', b'{"value": [null]}', b'{"value": [7, "x", []]}'),
)


def test_rubbish_is_dropped_without_a_word(world: World, anybody: Visitor) -> None:
    world.connected()
    for body in RUBBISH:
        for kind in ("application/json", "text/html", "application/x-www-form-urlencoded"):
            answer = anybody.client.post(ADDRESS, data=body, content_type=kind)
            assert (answer.status_code, answer.data) == (202, b""), (kind, body[:40])
    assert wanted() == []


def test_a_flood_of_strangers_is_thrown_away_at_once(world: World, anybody: Visitor) -> None:
    """Anybody can post here: thousands of made-up notifications may cost neither a lock each nor a write each."""
    world.connected()
    notes = [{"subscriptionId": f"{number:036}", "clientState": "x"} for number in range(10_000)]
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    answer = deliver(anybody, *notes, true_note())
    event.remove(db.engine, "before_cursor_execute", note)
    assert answer.status_code == 202
    assert wanted() == [world.connection().id], "the true one among them is heard"
    assert len(statements) < 100


def test_what_is_too_big_is_refused(world: World, anybody: Visitor) -> None:
    world.connected()
    note = json.dumps({"value": [true_note()], "padding": "x" * 2_000_000})
    assert anybody.client.post(ADDRESS, data=note, content_type="application/json").status_code == 413
    assert wanted() == []


def test_another_integration_is_404(anybody: Visitor) -> None:
    assert anybody.client.post("/webhooks/fax-machine/mark", query_string={"validationToken": "x"}).status_code == 404


@pytest.mark.parametrize("kind", ["missed", "reauthorizationRequired", "a word of next year"])
def test_a_lifecycle_event_leads_to_a_sync(world: World, anybody: Visitor, kind: str) -> None:
    world.connected()
    assert deliver(anybody, true_note(lifecycleEvent=kind)).status_code == 202
    assert wanted() == [world.connection().id]
    assert subscriptions() == 1


def test_a_removed_subscription_is_forgotten_and_replaced(world: World) -> None:
    """Microsoft removes it and says so, over a real socket."""
    world.connected()
    before = db.session.scalars(select(Subscription.provider_id)).one()
    db.session.rollback()
    world.microsoft.desk("POST", f"subscriptions/{before}/lifecycle", event="subscriptionRemoved")
    until = time.monotonic() + 20
    while subscriptions() or not wanted():
        assert time.monotonic() < until, world.microsoft.desk("GET", "deliveries")
        time.sleep(0.05)
    world.work()
    after = db.session.scalars(select(Subscription.provider_id)).one()
    assert after != before
    assert [each["id"] for each in world.microsoft.holds(ADELE)["subscriptions"]] == [after]


def test_after_the_fence_nothing_is_believed_any_more(world: World, anybody: Visitor) -> None:
    alice = world.connected()
    note = true_note()
    alice.post(f"/connections/{world.connection().id}/disconnect")
    assert world.connection().state == DISCONNECTING
    for each in (note, {**note, "lifecycleEvent": "subscriptionRemoved"}):
        assert deliver(anybody, each).status_code == 202
    assert wanted() == []
    assert subscriptions() == 1, "the disconnection itself deletes it, at Microsoft first"
    world.work()
    assert deliver(anybody, note).status_code == 202
    assert wanted() == []


def test_a_connection_that_needs_attention_is_left_alone(world: World, anybody: Visitor) -> None:
    world.connected()
    note = true_note()
    db.session.execute(
        update(Connection).values(state="needs_attention", attention_reason="token_expired", attention_at=clock.now())
    )
    db.session.commit()
    assert deliver(anybody, note).status_code == 202
    assert wanted() == []


def test_a_mailbox_that_two_people_connected_wakes_both(world: World, anybody: Visitor) -> None:
    """Microsoft keeps one subscription per mailbox and application where two would be the same."""
    world.connected("alice@northwind.example", ADELE)
    world.connected("bob@northwind.example", ADELE)
    world.connected("charlie@fabrikam.example", MEGAN)
    db.session.rollback()
    rows = db.session.execute(
        select(Subscription.provider_id, Subscription.connection_id, Subscription.client_state_sealed)
        .join(Connection, Connection.id == Subscription.connection_id)
        .where(Connection.account_address == ADELE)
    ).all()
    provider_id, connection_id, sealed = rows[0]
    state = parts().vault.open(connection_id, CLIENT_STATE, sealed)
    assert deliver(anybody, {"subscriptionId": provider_id, "clientState": state}).status_code == 202
    addresses = select(Connection.account_address).where(Connection.id.in_(wanted()))
    assert list(db.session.scalars(addresses)) == [ADELE, ADELE]


def waiters() -> int:
    """How many wait for somebody's lock on this database."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    found: int = db.session.execute(text(asked)).scalar_one()
    db.session.rollback()
    return found


def until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


@pytest.mark.parametrize("lifecycle", ["subscriptionRemoved", "reauthorizationRequired"])
def test_one_under_way_at_the_click_writes_nothing_after_it(both: World, lifecycle: str) -> None:
    """Either it was before the click, which then waits for it and sees what it did, or it changes nothing."""
    if db.engine.dialect.name != "postgresql":
        return  # on SQLite one waits for the other from the first look on
    both.connected()
    connection = both.connection()
    connection_id, member_id = connection.id, connection.member_id
    body = json.dumps({"value": [true_note(lifecycleEvent=lifecycle)]}).encode()
    seen: list[tuple[int, datetime | None]] = []

    def look() -> tuple[int, datetime | None]:
        found = (subscriptions(), db.session.scalar(select(Subscription.renew_at)))
        db.session.rollback()
        return found

    def click() -> None:
        with both.app.app_context():
            disconnect.begin(connection_id, member_id)
            seen.append(look())

    def take() -> None:
        with both.app.app_context():
            receive.notifications("outlook-calendar", body)

    delivering, clicking = threading.Thread(target=take), threading.Thread(target=click)
    with db.engine.connect() as somebody:
        somebody.execute(text("SELECT id FROM subscriptions FOR UPDATE"))
        delivering.start()
        until(lambda: waiters() == 1)
        clicking.start()
        until(lambda: bool(seen) or waiters() == 2)
        somebody.rollback()
    delivering.join(20)
    clicking.join(20)
    assert seen == [look()]
    assert both.disconnection().subscriptions == subscriptions()

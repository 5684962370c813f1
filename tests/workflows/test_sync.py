"""Sync: copies follow the calendars, on both databases."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import requests
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Copy, Subscription, Token
from portal.providers.base import ProviderError
from portal.workflows import sync, tokens
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"


def copies() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Copy)) or 0


def again(world: World) -> None:
    assert sync.want(world.connection().id)
    world.work()


def test_it_works(both: World) -> None:
    both.connected()
    connection = both.connection()
    assert connection.last_sync_at is not None
    assert connection.sync_note is None
    assert not connection.is_syncing()
    assert copies() > 20
    assert db.session.scalar(select(func.count()).select_from(Calendar)) >= 2


def test_a_second_sync_adds_nothing_twice(both: World) -> None:
    both.connected()
    before = copies()
    again(both)
    assert copies() == before


def test_new_and_removed_events_follow(both: World) -> None:
    both.connected()
    before = copies()
    both.microsoft.desk("POST", f"accounts/{ADELE}/events", count=12, calendar="Calendar")
    again(both)
    assert copies() == before + 12
    single = next(event for event in both.microsoft.desk("GET", f"accounts/{ADELE}/events") if not event["series"])
    event_id = single["id"]
    both.microsoft.desk("DELETE", f"accounts/{ADELE}/events/{event_id}")
    again(both)
    assert copies() == before + 11


def test_a_spent_delta_link_costs_a_full_round_and_no_doubles(both: World) -> None:
    both.connected()
    before = copies()
    for how in ("410", "syncStateNotFound", "resyncRequired"):
        both.microsoft.desk("POST", f"accounts/{ADELE}/spend-deltas", how=how)
        again(both)
        assert copies() == before, how
        assert both.connection().state == "connected"


def test_private_events_keep_their_secret(both: World) -> None:
    both.connected()
    private = db.session.scalars(select(Copy).where(Copy.is_private)).all()
    assert private
    assert {copy.subject for copy in private} == {""}


def test_an_expired_access_token_is_refreshed(both: World) -> None:
    both.connected()
    connection_id = both.connection().id
    issued = db.session.get_one(Token, connection_id).issued_at
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    again(both)
    assert both.connection().state == "connected"
    assert db.session.get_one(Token, connection_id).issued_at > issued


def test_access_that_ended_at_microsoft_needs_attention(both: World) -> None:
    both.connected()
    both.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    again(both)
    connection = both.connection()
    assert (connection.state, connection.attention_reason) == ("needs_attention", "consent_withdrawn")


def test_our_own_secret_going_bad_is_nobody_elses_fault(both: World) -> None:
    both.connected()
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    both.microsoft.breaks("status", "token", aadsts=7000222, times=None)
    again(both)
    connection = both.connection()
    assert connection.state == "connected"
    assert db.session.get(Token, connection.id) is not None
    both.microsoft.mend()
    again(both)
    assert both.connection().sync_note is None


def test_an_outage_changes_nothing(both: World) -> None:
    both.connected()
    before = copies()
    both.microsoft.breaks("status", "graph", status=503, times=None)
    again(both)
    assert copies() == before
    assert both.connection().state == "connected"
    both.microsoft.mend()
    again(both)
    assert both.connection().sync_note is None


def test_an_ageing_subscription_is_renewed_and_a_lost_one_replaced(both: World) -> None:
    both.connected()
    soon = clock.now() + timedelta(hours=3)
    db.session.execute(update(Subscription).values(expires_at=soon, renew_at=clock.now()))
    db.session.commit()
    again(both)
    row = db.session.scalars(select(Subscription)).one()
    assert row.expires_at > soon + timedelta(hours=12)
    first = row.provider_id
    connection_id = both.connection().id
    db.session.rollback()
    access = tokens.access_token(connection_id, 1, ("connected",))
    address = f"{both.microsoft.url}/v1.0/subscriptions/{first}"
    assert requests.delete(address, headers={"Authorization": f"Bearer {access}"}, timeout=10).status_code == 204
    db.session.execute(update(Subscription).values(renew_at=clock.now()))
    db.session.commit()
    again(both)
    second = db.session.scalars(select(Subscription)).one().provider_id
    assert second != first
    assert [each["id"] for each in both.microsoft.holds(ADELE)["subscriptions"]] == [second]


def test_a_subscription_whose_token_nears_its_end_is_renewed_when_microsoft_asks(both: World) -> None:
    both.connected()
    row = db.session.scalars(select(Subscription)).one()
    renew_at, provider_id = row.renew_at, row.provider_id
    db.session.rollback()
    both.microsoft.desk("POST", f"subscriptions/{provider_id}/lifecycle", event="reauthorizationRequired")
    for _ in range(200):
        is_wanted = both.connection().sync_wanted_at is not None
        db.session.rollback()  # else the delivery, which comes from another thread, waits for our look to end
        if is_wanted:
            break
        time.sleep(0.05)
    both.work()
    after = db.session.scalars(select(Subscription)).one()
    assert after.provider_id == provider_id
    assert after.renew_at >= renew_at


def test_a_copy_outside_of_the_window_goes_in_the_next_full_round(both: World) -> None:
    both.connected()
    before = copies()
    calendar = db.session.scalars(select(Calendar).where(Calendar.is_default)).one()
    now = clock.now()
    stale = Copy(
        connection_id=calendar.connection_id,
        calendar_id=calendar.id,
        provider_id="long-gone",
        subject="x",
        starts_at=now,
        ends_at=now,
        round="an-old-one",
    )
    db.session.add(stale)
    db.session.execute(update(Calendar).values(window_ends_at=now + timedelta(days=5)))
    db.session.commit()
    again(both)
    assert copies() == before


def test_refresh_tokens_are_overwritten_not_collected(both: World) -> None:
    both.connected()
    connection = both.connection()
    db.session.rollback()
    for _ in range(3):
        tokens.access_token(connection.id, 1, ("connected",), not_this_one=True)
    assert db.session.scalar(select(func.count()).select_from(Token)) == 1


@pytest.mark.parametrize(("status", "code"), [(403, "ErrorAccessDenied"), (404, "ErrorItemNotFound")])
def test_one_calendar_that_cannot_be_read_does_not_stop_the_others(both: World, status: int, code: str) -> None:
    both.connected()
    row = db.session.scalars(select(Calendar).where(~Calendar.is_default)).first()
    assert row is not None
    name, provider_id = row.name, row.provider_id
    db.session.execute(update(Calendar).values(delta_link_sealed=None))
    db.session.commit()
    before = copies()
    both.microsoft.desk("POST", f"accounts/{ADELE}/events", count=3, calendar="Calendar")
    path = f"/v1.0/me/calendars/{provider_id}/calendarView/delta"
    both.microsoft.desk("POST", "faults", kind="status", path=path, status=status, code=code, times=None)
    again(both)
    connection = both.connection()
    assert connection.state == "connected"
    assert connection.sync_note == f"Could not be read: {name}."
    assert copies() == before + 3
    both.microsoft.mend()
    again(both)
    assert both.connection().sync_note is None


@pytest.mark.parametrize("trouble", [None, ProviderError()], ids=["ends well", "is refused"])
def test_one_that_stood_still_takes_nothing_from_its_successor(
    world: World, monkeypatch: pytest.MonkeyPatch, trouble: ProviderError | None
) -> None:
    """Its lease ran out and another one is at it: that one's lease stays, and so does what is wanted of it."""
    world.connected()
    connection_id = world.connection().id
    theirs = {"sync_lease": "b" * 32, "sync_lease_until": clock.now() + timedelta(minutes=1), "sync_note": "Reading"}

    def stands_still(connection_id: str, _epoch: int) -> None:
        db.session.execute(update(Connection).where(Connection.id == connection_id).values(theirs))
        db.session.commit()
        if trouble is not None:
            raise trouble

    monkeypatch.setattr(sync, "_read_all", stands_still)
    assert sync.want(connection_id)
    world.work()
    connection = world.connection()
    assert {name: getattr(connection, name) for name in theirs} == theirs
    assert connection.sync_wanted_at is not None

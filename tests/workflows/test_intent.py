"""What we ask Microsoft to make is written down first: a lost answer, or a kill, loses nothing."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import delete, select

from portal.db import db
from portal.models import Calendar, Meeting, Placement, Receipt, Subscription
from portal.parts import parts
from portal.workflows import carry_out, disconnect, erase, intent, push, subscribe, sync, tokens
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"


class Killed(BaseException):
    """As kill -9: nothing that tidies up after an exception of ours catches it."""


def killed_after(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The next such call is carried out at Microsoft, and its answer reaches nobody."""
    provider = parts().providers["outlook-calendar"]
    call = getattr(provider, name)

    def carried_out(*anything: Any) -> Any:
        call(*anything)
        monkeypatch.setattr(provider, name, call)
        raise Killed

    monkeypatch.setattr(provider, name, carried_out)


def held(world: World) -> list[str]:
    return [each["id"] for each in world.microsoft.holds(ADELE)["subscriptions"]]


def row() -> tuple[str, str | None]:
    db.session.rollback()
    found = db.session.execute(select(Subscription.id, Subscription.provider_id)).one()
    db.session.rollback()
    return found[0], found[1]


def unsubscribed(world: World) -> tuple[str, int]:
    """Connected, with no subscription here nor there; the connection's id and epoch."""
    world.connected()
    connection = world.connection()
    found = connection.id, connection.epoch
    db.session.execute(delete(Subscription))
    db.session.commit()
    signed = {"Authorization": f"Bearer {tokens.access_token(*found, ('connected',))}"}
    for each in held(world):
        address = f"{world.microsoft.url}/v1.0/subscriptions/{each}"
        assert requests.delete(address, headers=signed, timeout=10).status_code == 204
    return found


def age(table: Any, column: str, by: timedelta = intent.SETTLES) -> None:
    """As if it had been asked for a while ago."""
    db.session.rollback()
    for each in db.session.scalars(select(table)):
        setattr(each, column, getattr(each, column) - by - timedelta(seconds=1))
    db.session.commit()


def again(world: World) -> None:
    assert sync.want(world.connection().id)
    world.work()


def end(world: World, *, remove: bool = False, now: bool = False) -> dict[str, Any]:
    """Disconnect; the receipt's body."""
    connection = world.connection()
    begun = disconnect.begin(connection.id, connection.member_id, remove_meetings=remove)
    assert begun is not None
    if now:
        disconnect.erase_now(begun.id)
    world.work()
    body: dict[str, Any] = json.loads(db.session.get_one(Receipt, world.disconnection().id).body)
    db.session.rollback()
    assert erase.remains(world.disconnection().connection_id) == []
    return body


def step(body: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in body["steps"] if each["name"] == name)
    return found


# --- subscriptions --------------------------------------------------------------------------------------------------


def lost_subscription(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft has one of ours, and we never heard of it."""
    connection_id, epoch = unsubscribed(world)
    killed_after(world, monkeypatch, "subscribe")
    with pytest.raises(Killed):
        subscribe.ensure(connection_id, epoch, parts().providers["outlook-calendar"])
    assert len(held(world)) == 1
    assert row()[1] is None


def test_it_works(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost subscription is taken as ours by the next sync: no 409, and what it sends is believed."""
    lost_subscription(both, monkeypatch)
    mark = row()[0]
    again(both)
    assert row() == (mark, held(both)[0])
    both.microsoft.desk("POST", f"accounts/{ADELE}/events", count=1, calendar="Calendar")
    until = time.monotonic() + 20
    while both.connection().sync_wanted_at is None:
        assert time.monotonic() < until, both.microsoft.desk("GET", "deliveries")
        db.session.rollback()
        time.sleep(0.05)


def test_the_disconnection_deletes_one_whose_answer_was_lost(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_subscription(both, monkeypatch)
    ended = step(end(both), "end_notifications")
    assert (ended["outcome"], ended["count"]) == ("Done", 1)
    assert held(both) == []


def test_it_is_told_when_microsoft_cannot_be_asked(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_subscription(both, monkeypatch)
    both.microsoft.breaks("drop", "all", times=None)
    body = end(both, now=True)
    both.microsoft.mend()
    ended = step(body, "end_notifications")
    assert ended["outcome"] == "Expires"
    assert "it may exist" in ended["detail"]
    lives_until = datetime.fromisoformat(both.microsoft.holds(ADELE)["subscriptions"][0]["expires"])
    assert datetime.fromisoformat(body["subscription_ends_at"]) >= lives_until.replace(microsecond=0)


def test_it_is_told_when_we_are_no_longer_let_in(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_subscription(both, monkeypatch)
    both.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    ended = step(end(both), "end_notifications")
    assert ended["outcome"] == "Expires"
    assert "it may exist" in ended["detail"]


def test_one_that_never_came_about_is_asked_for_anew(both: World) -> None:
    connection_id, epoch = unsubscribed(both)
    both.microsoft.desk("POST", "faults", kind="drop", method="POST", path="/v1.0/subscriptions", times=1)
    subscribe.ensure(connection_id, epoch, parts().providers["outlook-calendar"])
    first = row()
    assert (first[1], held(both)) == (None, [])
    again(both)
    assert row() == first, "it may still come"
    age(Subscription, "expires_at")
    again(both)
    assert row()[0] != first[0]
    assert held(both) == [row()[1]]


def test_while_it_may_still_come_the_disconnection_waits(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    connection_id, epoch = unsubscribed(both)
    both.microsoft.desk("POST", "faults", kind="drop", method="POST", path="/v1.0/subscriptions", times=1)
    subscribe.ensure(connection_id, epoch, parts().providers["outlook-calendar"])
    connection = both.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    disconnection_id = begun.id
    db.session.rollback()
    assert carry_out.attempt("end_notifications", disconnection_id) is not None
    waiting = next(each for each in both.disconnection().steps if each.name == "end_notifications")
    assert waiting.trouble == intent.StillOpen.sentence
    monkeypatch.setattr(intent, "SETTLES", timedelta(0))
    db.session.rollback()
    assert carry_out.attempt("end_notifications", disconnection_id) is None
    ended = next(each for each in both.disconnection().steps if each.name == "end_notifications")
    assert (ended.outcome, ended.count) == ("Done", 0)


def test_one_that_nobody_knows_stands_in_no_ones_way(both: World) -> None:
    """Left behind by a disconnection that could not ask: Microsoft would refuse a new one for up to two days."""
    both.connected()
    both.microsoft.breaks("status", "subscriptions", status=503, times=None)
    end(both, now=True)
    both.microsoft.mend()
    stray = held(both)
    assert len(stray) == 1
    both.connected()
    assert held(both) == [row()[1]]
    assert held(both) != stray


def test_the_way_is_not_cleared_of_what_a_colleague_relies_on(both: World) -> None:
    both.connected("alice@northwind.example", ADELE)
    before = held(both)
    both.connected("bob@northwind.example", ADELE)
    assert held(both) == before


# --- meetings -------------------------------------------------------------------------------------------------------


def lost_meeting(world: World, monkeypatch: pytest.MonkeyPatch, *, by_default: bool = True) -> None:
    """One meeting of ours stands in a calendar of Adele's, and we never heard of it; no other is planned."""
    world.connected()
    meetings = list(db.session.scalars(select(Meeting.id).where(Meeting.organizer_id == world.connection().member_id)))
    db.session.execute(delete(Meeting).where(Meeting.id != meetings[-1]))
    db.session.commit()
    connection = world.connection()
    connection_id, epoch = connection.id, connection.epoch
    kind = Calendar.is_default if by_default else Calendar.is_default.is_(False)
    calendar_id = db.session.scalars(select(Calendar.id).where(kind, Calendar.can_edit)).first()
    db.session.rollback()
    push.choose(connection_id, epoch, calendar_id)
    killed_after(world, monkeypatch, "write_event")
    with pytest.raises(Killed):
        push.write_meetings(connection_id, epoch, parts().providers["outlook-calendar"])
    assert placed() == [None]
    assert len(written(world)) == 1


def written(world: World) -> list[str]:
    events = world.microsoft.desk("GET", f"accounts/{ADELE}/events")
    return [each["immutable_id"] for each in events if is_ours(each)]


def is_ours(event: dict[str, Any]) -> bool:
    return "CoordinoterId" in json.dumps(event)


def placed() -> list[str | None]:
    db.session.rollback()
    found = list(db.session.scalars(select(Placement.provider_id)))
    db.session.rollback()
    return found


def test_a_meeting_whose_answer_was_lost_is_found_again(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_meeting(both, monkeypatch)
    again(both)
    assert placed() == written(both)


@pytest.mark.parametrize("by_default", [True, False])
def test_it_is_removed_if_chosen(both: World, monkeypatch: pytest.MonkeyPatch, by_default: bool) -> None:
    lost_meeting(both, monkeypatch, by_default=by_default)
    ended = step(end(both, remove=True), "remove_our_meetings")
    assert (ended["outcome"], ended["count"]) == ("Done", 1)
    assert written(both) == []


def test_it_is_told_if_meetings_stay(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_meeting(both, monkeypatch)
    ended = step(end(both), "remove_our_meetings")
    assert (ended["outcome"], ended["count"]) == ("Done", 1)
    assert "1 meeting written by Coordinoter stays" in ended["detail"]
    assert len(written(both)) == 1


@pytest.mark.parametrize("remove", [True, False])
def test_that_it_may_be_there_is_told(both: World, monkeypatch: pytest.MonkeyPatch, remove: bool) -> None:
    """Whether Microsoft does not answer, or does not let us in."""
    lost_meeting(both, monkeypatch)
    both.microsoft.breaks("drop", "all", times=None)
    ended = step(end(both, remove=remove, now=True), "remove_our_meetings")
    both.microsoft.mend()
    assert ended["outcome"] == ("LeftToYou" if remove else "Done")
    assert "1 meeting" in ended["detail"]
    assert "may " in ended["detail"]


def test_that_it_may_be_there_is_told_when_we_are_shut_out(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_meeting(both, monkeypatch)
    both.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    ended = step(end(both, remove=True), "remove_our_meetings")
    assert ended["outcome"] == "LeftToYou", ended
    assert "1 meeting of ours may stand there" in ended["detail"]


def test_one_that_was_never_written_is_not_told(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_meeting(both, monkeypatch)
    (event,) = (each for each in both.microsoft.desk("GET", f"accounts/{ADELE}/events") if is_ours(each))
    event_id = event["id"]
    both.microsoft.desk("DELETE", f"accounts/{ADELE}/events/{event_id}")
    age(Placement, "written_at")
    ended = step(end(both, remove=True), "remove_our_meetings")
    assert (ended["outcome"], ended["count"]) == ("Done", 0)
    assert ended["detail"] == "Over this connection Coordinoter had written no meeting into your calendar."


# --- both -----------------------------------------------------------------------------------------------------------


def waits_long(monkeypatch: pytest.MonkeyPatch, table: Any, column: str) -> None:
    """An access token is had only after as long as an intent stays open: somebody else refreshes it, or died so."""
    honest = tokens.with_access

    def slow(*asked: Any, **more: Any) -> Any:
        age(table, column)
        return honest(*asked, **more)

    monkeypatch.setattr(tokens, "with_access", slow)


def test_a_subscription_s_intent_is_as_young_as_the_call(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waits_long(monkeypatch, Subscription, "expires_at")
    lost_subscription(both, monkeypatch)
    told = db.session.scalars(select(Subscription.expires_at)).one()
    db.session.rollback()
    assert intent.is_open(told - subscribe.LIFE)
    (there,) = both.microsoft.holds(ADELE)["subscriptions"]
    assert abs(datetime.fromisoformat(there["expires"]) - told) < timedelta(seconds=1), "the end that was asked for"


def test_a_meeting_s_intent_is_as_young_as_the_call(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waits_long(monkeypatch, Placement, "written_at")
    lost_meeting(both, monkeypatch)
    assert intent.is_open(db.session.scalars(select(Placement.written_at)).one())
    db.session.rollback()

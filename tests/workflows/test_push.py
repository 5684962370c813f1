"""Our meetings in their calendar: written once, told apart from copies, and left or removed as the person chose."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from portal.db import db
from portal.models import Calendar, Copy, Meeting, Placement, Receipt
from portal.parts import parts
from portal.workflows import disconnect, erase, push, sync, tokens
from tests.world import World

ADELE = "adele@contoso.example"


def choose(world: World) -> None:
    connection = world.connection()
    calendar = db.session.scalars(select(Calendar.id).where(Calendar.is_default)).one()
    connection_id, epoch = connection.id, connection.epoch
    db.session.rollback()
    push.choose(connection_id, epoch, calendar)
    sync.want(connection_id)
    world.work()


def ours(world: World) -> list[dict[str, Any]]:
    """What stands in Adele's calendar with our mark."""
    answer = world.microsoft.desk("GET", f"accounts/{ADELE}/events")
    return [event for event in answer if "CoordinoterId" in json.dumps(event)]


def placed() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(Placement)) or 0


def invite(world: World, event_id: str) -> None:
    """As if Adele invited somebody to a meeting of ours, in Outlook."""
    connection = world.connection()
    access = tokens.access_token(connection.id, connection.epoch, ("connected",))
    guest = {"emailAddress": {"address": "guest@example.com"}, "type": "required"}
    answer = requests.patch(
        f"{world.microsoft.url}/v1.0/me/events/{event_id}",
        json={"attendees": [guest]},
        headers={"Authorization": f"Bearer {access}", "Prefer": 'IdType="ImmutableId"'},
        timeout=10,
    )
    assert answer.ok, answer.text


def end(world: World, *, remove: bool) -> dict[str, Any]:
    connection = world.connection()
    disconnect.begin(connection.id, connection.member_id, remove_meetings=remove)
    world.work()
    body = json.loads(db.session.get_one(Receipt, world.disconnection().id).body)
    step: dict[str, Any] = next(each for each in body["steps"] if each["name"] == "remove_our_meetings")
    return step


def test_it_works(both: World) -> None:
    both.connected()
    assert ours(both) == []
    choose(both)
    meetings = db.session.scalar(select(func.count()).select_from(Meeting).where(Meeting.business_id.is_not(None)))
    assert meetings
    assert 0 < placed() == len(ours(both))


def test_nothing_is_written_unless_chosen(both: World) -> None:
    both.connected()
    sync.want(both.connection().id)
    both.work()
    assert ours(both) == []


def test_they_are_written_once_and_never_copied_back(both: World) -> None:
    both.connected()
    choose(both)
    first, copies = len(ours(both)), db.session.scalar(select(func.count()).select_from(Copy))
    db.session.rollback()
    for _ in range(2):
        sync.want(both.connection().id)
        both.work()
    assert len(ours(both)) == first
    assert db.session.scalar(select(func.count()).select_from(Copy)) == copies


def test_a_kill_between_writing_and_remembering_makes_no_twin(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    db.session.execute(Placement.__table__.delete())
    db.session.commit()
    sync.want(both.connection().id)
    both.work()
    assert placed() == number == len(ours(both))


def test_they_stay_by_default(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    connection_id = both.connection().id
    step = end(both, remove=False)
    assert (step["outcome"], step["count"]) == ("Done", number)
    assert "stay" in step["detail"]
    assert len(ours(both)) == number
    assert erase.remains(connection_id) == []


def test_they_are_removed_if_chosen(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    others = len(both.microsoft.desk("GET", f"accounts/{ADELE}/events")) - number
    step = end(both, remove=True)
    assert (step["outcome"], step["count"]) == ("Done", number)
    assert ours(both) == []
    assert len(both.microsoft.desk("GET", f"accounts/{ADELE}/events")) == others, "never their own"


def test_one_with_invited_people_is_left(both: World) -> None:
    both.connected()
    choose(both)
    event_id = db.session.scalars(select(Placement.provider_id)).first()
    number = placed()
    invite(both, str(event_id))
    step = end(both, remove=True)
    assert len(ours(both)) == 1
    assert step["count"] == number - 1
    assert "cancellation" in step["detail"]


def test_microsoft_gone_leaves_them_to_the_person(both: World) -> None:
    both.connected()
    choose(both)
    both.microsoft.breaks("status", "events", status=503, times=None)
    step = end(both, remove=True)
    both.microsoft.mend()
    assert step["outcome"] == "LeftToYou"
    assert "Outlook" in step["detail"]


def test_what_was_under_way_at_the_click_is_taken_back(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both.connected()
    connection = both.connection()
    connection_id, member_id = connection.id, connection.member_id
    provider = parts().providers[connection.integration]
    write = provider.write_event

    def write_and_click(*anything: Any) -> str:
        event_id = write(*anything)
        if both.connection().state == "connected":
            disconnect.begin(connection_id, member_id)
        db.session.rollback()
        return event_id

    monkeypatch.setattr(provider, "write_event", write_and_click)
    choose(both)
    assert placed() == 0
    assert ours(both) == []


def test_connecting_again_finds_the_meetings_that_were_kept(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    end(both, remove=False)
    both.connected()
    choose(both)
    assert placed() == number == len(ours(both))
    assert db.session.scalar(select(Copy.id).where(Copy.provider_id.in_(select(Placement.provider_id)))) is None

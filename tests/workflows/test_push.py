"""Our meetings in their calendar: written once, told apart from copies, and left or removed as the person chose."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import requests
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Calendar, Copy, Disconnection, Meeting, Placement, Receipt
from portal.parts import parts
from portal.providers.base import AccessEnded, AccessReason, NewEvent, ProviderError, Rejected, Unreachable
from portal.workflows import (
    at_once,
    carry_out,
    disconnect,
    erase,
    intent,
    meetings_left,
    push,
    remove_our_meetings,
    sync,
    tokens,
)
from portal.workflows.promise import Work
from tests.door import Door
from tests.world import CARD, World

pytestmark = pytest.mark.postgresql_is_long

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


def shown_on_a_card(title: str) -> str:
    return title if len(title) <= sync.LONG else f"{title[: sync.LONG - 1]}…"


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


@pytest.mark.parametrize(
    ("refusal", "at"),
    [(Rejected(), 0), (AccessEnded(AccessReason.SCOPE_MISSING), 1)],
    ids=["400", "403, though another was written"],
)
def test_a_refused_meeting_keeps_no_other_from_being_written(
    both: World, door: Door, refusal: ProviderError, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = both.connected()
    provider = parts().providers["outlook-calendar"]
    write, asked = provider.write_event, list[str]()

    def refuse_one(access: str, calendar_id: str, event: NewEvent) -> str:
        asked.append(event.title)
        if event.title == [*asked, ""][at]:
            raise refusal
        return write(access, calendar_id, event)

    monkeypatch.setattr(provider, "write_event", refuse_one)
    door.app = None  # nobody hears Microsoft tell of what was written, or the next sync would be wanted at once
    choose(both)
    connection, number = both.connection(), placed()
    assert connection.state == "connected"
    assert connection.last_sync_at is not None
    assert connection.sync_wanted_at is None
    assert connection.sync_note == f"Could not be written: {shown_on_a_card(asked[at])}."
    assert "Microsoft refused it; we ask again every five minutes." in visitor.get(CARD).get_text(" ")
    assert number == len(ours(both)) > 0
    monkeypatch.undo()
    sync.want(connection.id)  # the next sync asks for it again
    both.work()
    assert both.connection().sync_note is None
    assert placed() == len(ours(both)) == number + 1


def test_who_may_write_nothing_at_all_is_told_to_reconnect(both: World) -> None:
    both.connected()
    both.microsoft.breaks("status", "events", method="POST", status=403, code="ErrorAccessDenied", times=None)
    choose(both)
    connection = both.connection()
    assert (connection.state, connection.attention_reason) == ("needs_attention", "scope_missing")
    assert placed() == 0


def test_a_refusal_takes_nobody_elses_intent_back(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two syncs ask for the same meeting: one is refused after the other, whose answer was lost, has made it."""
    both.connected()
    connection, provider = both.connection(), parts().providers["outlook-calendar"]
    connection_id, epoch = connection.id, connection.epoch
    push.choose(connection_id, epoch, db.session.scalars(select(Calendar.id).where(Calendar.is_default)).one())
    write = provider.write_event

    def lost(*anything: Any) -> str:
        write(*anything)
        raise Unreachable

    def overtaken(*_: Any) -> str:
        monkeypatch.setattr(provider, "write_event", lost)
        with pytest.raises(Unreachable):
            push.write_meetings(connection_id, epoch, provider)
        monkeypatch.setattr(provider, "write_event", write)
        raise Rejected

    monkeypatch.setattr(provider, "write_event", overtaken)
    assert len(push.write_meetings(connection_id, epoch, provider)) == 1
    assert placed() == len(ours(both)), "the lost one is still on our map"


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


def test_a_lost_key_is_not_laid_at_microsofts_door(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    parts().vault.destroy(both.connection().id)
    step = end(both, remove=True)
    assert step["outcome"] == "LeftToYou"
    assert step["detail"].startswith(
        f"We can no longer open our own tokens: {number} meetings of ours stayed in your calendar."
    )


@pytest.mark.parametrize("status", [403, 503])
def test_what_was_removed_before_something_came_in_the_way_is_told(both: World, status: int) -> None:
    """Microsoft does not let us in any more after the first, or does not answer until the time is over."""
    both.connected()
    choose(both)
    number = placed()
    assert number > 1
    both.microsoft.breaks("status", "events", method="DELETE", status=status, skip=1, times=None)
    step = end(both, remove=True)
    both.microsoft.mend()
    assert (step["outcome"], step["count"], len(ours(both))) == ("LeftToYou", number - 1, number - 1)
    assert step["detail"].startswith("1 meeting of ours removed from your calendar. Microsoft ")
    assert f"{number - 1} meeting" in step["detail"]


def test_they_are_removed_if_chosen(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    others = len(both.microsoft.desk("GET", f"accounts/{ADELE}/events")) - number
    step = end(both, remove=True)
    assert (step["outcome"], step["count"]) == ("Done", number)
    assert ours(both) == []
    assert len(both.microsoft.desk("GET", f"accounts/{ADELE}/events")) == others, "never their own"


@pytest.mark.parametrize("all_of_them", [False, True])
def test_what_the_person_deleted_themselves_is_not_told_as_removed_by_us(both: World, all_of_them: bool) -> None:
    both.connected()
    choose(both)
    number = placed()
    theirs = ours(both)[: None if all_of_them else 1]
    for event in theirs:
        both.microsoft.desk("DELETE", f"accounts/{ADELE}/events/{event['id']}")
    step = end(both, remove=True)
    by_us = number - len(theirs)
    assert (step["outcome"], step["count"], ours(both)) == ("Done", by_us, [])
    told = f"{by_us} meeting{'' if by_us == 1 else 's'} of ours removed from your calendar. " if by_us else ""
    were = "1 meeting of ours was" if len(theirs) == 1 else f"{len(theirs)} meetings of ours were"
    assert step["detail"] == f"{told}{were} not there any more."


def test_what_an_earlier_try_may_have_removed_is_told_as_just_that(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft deletes, but its answer never comes; the next try finds nothing there."""
    both.connected()
    choose(both)
    number = placed()
    provider = parts().providers["outlook-calendar"]
    honest, lost = provider.remove_event, list[str]()

    def once_in_vain(access: str, event_id: str) -> str | None:
        answer = honest(access, event_id)
        if not lost:
            lost.append(event_id)
            raise Unreachable
        return answer

    monkeypatch.setattr(provider, "remove_event", once_in_vain)
    step = end(both, remove=True)
    assert lost
    assert (step["outcome"], step["count"], ours(both)) == ("Done", number - 1, [])
    assert "1 meeting of ours was not there any more." in step["detail"]


def test_one_with_invited_people_is_not_told_as_refused(both: World) -> None:
    """Microsoft refuses another one. The advice says whom it would mail."""
    both.connected()
    choose(both)
    invited, refused = db.session.scalars(select(Placement.provider_id).order_by(Placement.id).limit(2)).all()
    number = placed()
    invite(both, str(invited))
    path = f"/v1.0/me/events/{refused}"
    both.microsoft.desk("POST", "faults", kind="status", status=403, method="GET", path=path, times=None)
    step = end(both, remove=True)
    both.microsoft.mend()
    assert (step["outcome"], step["count"], len(ours(both))) == ("LeftToYou", 1, 2)
    gone = (
        f"{number - 2} meeting{'' if number == 3 else 's'} of ours removed from your calendar. " if number > 2 else ""
    )
    assert step["detail"] == (
        f"{gone}1 meeting with invited people was left in your calendar, so that nobody gets a cancellation. "
        f"Microsoft refused: 1 meeting of ours stayed in your calendar. {meetings_left.by_hand(1)}"
    )
    assert "get a cancellation" in meetings_left.by_hand(1)


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


def test_what_an_earlier_try_removed_is_told_when_we_are_shut_out_since(both: World) -> None:
    """A kill between the deed and its note, and then Microsoft no longer lets us in."""
    both.connected()
    choose(both)
    number, connection = placed(), both.connection()
    begun = disconnect.begin(connection.id, connection.member_id, remove_meetings=True)
    assert begun is not None
    remove_our_meetings.remove_our_meetings(Work(begun.id))
    both.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    both.work()
    step = next(each for each in both.disconnection().steps if each.name == "remove_our_meetings")
    assert (step.outcome, step.count) == ("Done", number), step.detail


@pytest.mark.parametrize("column", ["deadline_at", "erase_now_at"])
def test_a_slow_microsoft_holds_the_erasure_no_longer_than_a_silent_one(
    both: World, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    """When the time is up, or the person waits no longer, what has not begun is left, and told."""
    monkeypatch.setattr(at_once, "LOOK_UP_EVERY", 0.0)
    both.connected()
    choose(both)
    number, connection = placed(), both.connection()
    assert number > at_once.AT_ONCE
    disconnect.begin(connection.id, connection.member_id, remove_meetings=True)
    db.session.execute(update(Disconnection).values({column: clock.now()}))
    db.session.commit()
    both.work()
    left = number - at_once.AT_ONCE
    step = next(each for each in both.disconnection().steps if each.name == "remove_our_meetings")
    assert (step.outcome, step.count, len(ours(both))) == ("LeftToYou", left, left), step.detail
    assert at_once.TimeIsUp.sentence in step.detail


def test_microsoft_gone_leaves_them_to_the_person(both: World) -> None:
    both.connected()
    choose(both)
    both.microsoft.breaks("status", "events", status=503, times=None)
    step = end(both, remove=True)
    both.microsoft.mend()
    assert step["outcome"] == "LeftToYou"
    assert "Outlook" in step["detail"]


def while_one_is_written(world: World, patch: pytest.MonkeyPatch, act: Callable[[], None], *, before: bool) -> None:
    """`act` happens once in the middle of a write: before Microsoft has it, or before we have Microsoft's answer."""
    provider = parts().providers[world.connection().integration]
    db.session.rollback()
    write, acted = provider.write_event, list[bool]()

    def write_event(*anything: Any) -> str:
        first, event_id = not acted, "" if before else write(*anything)
        acted.append(True)
        if first:
            with world.app.app_context():
                act()
                db.session.rollback()
        return write(*anything) if before else event_id

    patch.setattr(provider, "write_event", write_event)
    choose(world)


def click(world: World, *, remove: bool, to_the_end: bool) -> None:
    connection = world.connection()
    disconnect.begin(connection.id, connection.member_id, remove_meetings=remove)
    if to_the_end:
        world.work()
        assert world.disconnection().is_finished()


@pytest.mark.parametrize("remove", [True, False])
@pytest.mark.parametrize("to_the_end", [True, False])
def test_one_under_way_at_the_click_is_told_as_it_is(
    both: World, monkeypatch: pytest.MonkeyPatch, remove: bool, to_the_end: bool
) -> None:
    """Whether its answer comes before the disconnection has looked, or when the receipt is signed already."""
    both.connected()
    while_one_is_written(both, monkeypatch, lambda: click(both, remove=remove, to_the_end=to_the_end), before=False)
    body = json.loads(db.session.get_one(Receipt, both.disconnection().id).body)
    (step,) = (each for each in body["steps"] if each["name"] == "remove_our_meetings")
    assert placed() == 0
    assert (step["outcome"], step["count"], len(ours(both))) == ("Done", 1, 0 if remove else 1)


def test_one_that_the_disconnection_looked_for_too_early_is_taken_back(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intent, "SETTLES", timedelta(0))
    both.connected()
    while_one_is_written(both, monkeypatch, lambda: click(both, remove=False, to_the_end=True), before=True)
    assert both.disconnection().meetings == 0
    assert ours(both) == []


@pytest.mark.parametrize("to_the_end", [False, True])
def test_one_that_the_disconnection_has_found_is_not_taken_back(
    both: World, monkeypatch: pytest.MonkeyPatch, to_the_end: bool
) -> None:
    """However late its answer comes, and although our map is erased by then: the person was told that it stays."""
    monkeypatch.setattr(intent, "SETTLES", timedelta(0))
    both.connected()

    def click_and_look() -> None:
        click(both, remove=False, to_the_end=False)
        disconnection_id = both.disconnection().id
        db.session.rollback()
        assert carry_out.attempt("remove_our_meetings", disconnection_id) is None
        if to_the_end:
            both.work()

    while_one_is_written(both, monkeypatch, click_and_look, before=False)
    step = next(each for each in both.disconnection().steps if each.name == "remove_our_meetings")
    assert (step.count, len(ours(both))) == (1, 1)


def test_connecting_again_finds_the_meetings_that_were_kept(both: World) -> None:
    both.connected()
    choose(both)
    number = placed()
    end(both, remove=False)
    both.connected()
    choose(both)
    assert placed() == number == len(ours(both))
    assert db.session.scalar(select(Copy.id).where(Copy.provider_id.in_(select(Placement.provider_id)))) is None

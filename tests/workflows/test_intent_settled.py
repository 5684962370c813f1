"""An intent that nothing came of: refused, overtaken by a click, or not answered; and until when it is waited for.

What is made and never told of is in test_intent.py.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select

from portal import clock, config
from portal.db import db
from portal.models import Calendar, Copy, Meeting, Placement, Subscription
from portal.parts import parts
from portal.providers.base import AccessEnded, Busy, Gone, ProviderError, Rejected
from portal.workflows import carry_out, disconnect, intent, push, remove_our_meetings, subscribe, tokens
from portal.workflows.epoch import Fenced
from portal.workflows.promise import Work
from tests.test_config import GOOD
from tests.workflows.test_intent import (
    ADELE,
    again,
    age,
    end,
    held,
    lost_meeting,
    placed,
    step,
    unsubscribed,
    written,
)
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

REFUSALS = [
    (Rejected, 400, "InvalidRequest"),
    (Rejected, 403, "ExtensionError"),
    (Busy, 429, "TooManyRequests"),
    (Gone, 404, "ErrorItemNotFound"),
    (AccessEnded, 403, "ErrorAccessDenied"),
    (AccessEnded, 401, "InvalidAuthenticationToken"),
]
"""How Microsoft says that it has made nothing, and what that comes to. After a 401 it is asked once more."""


def refuse(world: World, path: str, status: int, code: str) -> None:
    """The next wish for something there."""
    more = {"status": status, "code": code, "times": 2 if status == 401 else 1}
    world.microsoft.desk("POST", "faults", kind="status", method="POST", path=path, **more)


def subscriptions() -> int:
    """How many we have, or have asked for."""
    db.session.rollback()
    number = db.session.scalar(select(func.count()).select_from(Subscription))
    db.session.rollback()
    return number or 0


def click_before_the_next_token(world: World, patch: pytest.MonkeyPatch) -> None:
    """Microsoft no longer takes our token; before we have a new one, the person disconnects."""
    honest = tokens.access_token

    def access_token(*anything: Any, not_this_one: bool = False, **more: Any) -> str:
        if not_this_one:
            connection = world.connection()
            assert disconnect.begin(connection.id, connection.member_id) is not None
        return honest(*anything, not_this_one=not_this_one, **more)

    patch.setattr(tokens, "access_token", access_token)
    world.microsoft.desk("POST", "faults", kind="status", method="POST", path="/v1.0/*s", status=401)


def try_(world: World, name: str) -> str | None:
    """One try of a step; what it still waits for."""
    disconnection_id = world.disconnection().id
    db.session.rollback()
    waits = carry_out.attempt(name, disconnection_id)
    found = next(each for each in world.disconnection().steps if each.name == name)
    assert (waits is None) is (found.outcome is not None)
    return found.trouble


def about_to_write(world: World) -> tuple[str, int]:
    """Connected, with one meeting to be written into the default calendar; the connection's id and epoch."""
    world.connected()
    connection = world.connection()
    connection_id, epoch = connection.id, connection.epoch
    ours = select(Meeting.id).where(Meeting.organizer_id == connection.member_id).order_by(Meeting.ends_at.desc())
    db.session.execute(delete(Meeting).where(Meeting.id != db.session.scalars(ours).first()))
    db.session.commit()
    calendar_id = db.session.scalars(select(Calendar.id).where(Calendar.is_default)).one()
    db.session.rollback()
    push.choose(connection_id, epoch, calendar_id)
    return connection_id, epoch


def refuse_to_write(world: World, error: type[ProviderError], status: int, code: str) -> None:
    """Microsoft refuses so to write what is to be written."""
    connection = world.connection()
    connection_id, epoch = connection.id, connection.epoch
    db.session.rollback()
    refuse(world, "/v1.0/me/*events", status, code)
    is_of_one_meeting = error in (Rejected, Gone)  # which keeps no other from being written
    with nullcontext() if is_of_one_meeting else pytest.raises(error):
        push.write_meetings(connection_id, epoch, parts().providers["outlook-calendar"])


def test_it_works(both: World) -> None:
    """Refused for a moment: nothing is kept of it, nobody waits for it, and it is asked for again."""
    about_to_write(both)
    both.microsoft.breaks("throttle", "events", times=None)
    again(both)
    assert placed() == []
    both.microsoft.mend()
    again(both)
    assert placed() == written(both)


# --- subscriptions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "status", "code"), REFUSALS)
def test_a_definite_no_leaves_no_intent(both: World, error: type[ProviderError], status: int, code: str) -> None:
    """What Microsoft refuses costs speed; where it lets us in no more, that is another thing, and told."""
    connection_id, epoch = unsubscribed(both)
    refuse(both, "/v1.0/subscriptions", status, code)
    lets_us_in_no_more = pytest.raises(AccessEnded) if error is AccessEnded else nullcontext()
    with lets_us_in_no_more:
        subscribe.ensure(connection_id, epoch, parts().providers["outlook-calendar"])
    assert subscriptions() == 0


def test_a_refusal_after_the_way_was_cleared_leaves_no_intent_either(both: World) -> None:
    connection_id, epoch = unsubscribed(both)
    both.microsoft.desk("POST", "faults", kind="drop_after", method="POST", path="/v1.0/subscriptions")
    subscribe.ensure(connection_id, epoch, parts().providers["outlook-calendar"])
    db.session.execute(delete(Subscription))
    db.session.commit()
    assert len(held(both)) == 1, "one of ours that nobody knows"
    both.microsoft.desk("POST", "faults", kind="throttle", method="POST", path="/v1.0/subscriptions", skip=1)
    subscribe.ensure(connection_id, epoch, parts().providers["outlook-calendar"])
    assert (held(both), subscriptions()) == ([], 0)


def test_a_sync_goes_on_without_a_subscription(both: World) -> None:
    """Microsoft refuses one with 404 too, when it cannot make one for what it does not find in a mailbox."""
    unsubscribed(both)
    both.microsoft.desk(
        "POST", "faults", kind="status", method="POST", path="/v1.0/subscriptions", status=404, code="ExtensionError"
    )
    both.microsoft.desk("POST", f"accounts/{ADELE}/events", count=1, calendar="Calendar")
    before = db.session.scalar(select(func.count()).select_from(Copy))
    again(both)
    assert both.connection().sync_note is None
    assert db.session.scalar(select(func.count()).select_from(Copy)) == (before or 0) + 1


def test_one_that_was_made_while_the_person_clicked_is_taken_back_and_not_waited_for(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection_id, epoch = unsubscribed(both)
    provider, member_id = parts().providers["outlook-calendar"], both.connection().member_id
    db.session.rollback()
    ask = provider.subscribe

    def while_clicked(*anything: Any) -> Any:
        made = ask(*anything)
        assert disconnect.begin(connection_id, member_id) is not None
        return made

    monkeypatch.setattr(provider, "subscribe", while_clicked)
    with pytest.raises(Fenced):
        subscribe.ensure(connection_id, epoch, provider)
    assert (held(both), subscriptions()) == ([], 0)
    assert try_(both, "end_notifications") is None


# --- meetings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("error", "status", "code"), REFUSALS)
def test_a_meeting_that_was_refused_leaves_no_intent(
    both: World, error: type[ProviderError], status: int, code: str
) -> None:
    about_to_write(both)
    refuse_to_write(both, error, status, code)
    assert placed() == []


def test_a_refusal_does_not_undo_an_earlier_asking_that_was_never_answered(both: World) -> None:
    about_to_write(both)
    both.microsoft.desk("POST", "faults", kind="drop_after", method="POST", path="/v1.0/me/*events")
    again(both)
    assert (placed(), len(written(both))) == ([None], 1)
    refuse_to_write(both, *REFUSALS[0])
    assert placed() == [None]
    again(both)
    assert placed() == written(both)


def test_nobody_can_know_whether_one_was_written_whose_answer_never_came(both: World) -> None:
    about_to_write(both)
    both.microsoft.desk("POST", "faults", kind="drop", method="POST", path="/v1.0/me/*events", times=None)
    again(both)
    assert placed() == [None]


def test_while_it_may_still_come_the_disconnection_looks_again(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last time that it was asked for: sixty seconds after the first, the second is young."""
    about_to_write(both)
    both.microsoft.desk("POST", "faults", kind="drop", method="POST", path="/v1.0/me/*events", times=2)
    again(both)
    age(Placement, "written_at")
    again(both)
    connection = both.connection()
    assert disconnect.begin(connection.id, connection.member_id, remove_meetings=True) is not None
    assert try_(both, "remove_our_meetings") == intent.StillOpen.sentence
    assert placed() == [None]
    monkeypatch.setattr(intent, "SETTLES", timedelta(0))
    assert try_(both, "remove_our_meetings") is None
    assert placed() == []
    assert both.disconnection().steps[2].count == 0


def test_two_workers_who_find_the_same_lost_meeting_count_it_once(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lost_meeting(both, monkeypatch)
    connection = both.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    disconnection_id = begun.id
    db.session.rollback()
    provider = parts().providers["outlook-calendar"]
    find, ended = provider.find_event, list[str]()

    def find_event(*anything: str) -> str | None:
        monkeypatch.setattr(provider, "find_event", find)
        with both.app.app_context():
            ended.append(remove_our_meetings.remove_our_meetings(Work(disconnection_id)).outcome)
        return find(*anything)

    monkeypatch.setattr(provider, "find_event", find_event)
    assert try_(both, "remove_our_meetings") is None
    assert ended == ["Done"]
    assert both.disconnection().meetings == both.disconnection().steps[2].count == 1


def test_a_calendar_that_went_away_meanwhile_holds_nothing(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked for the lost meeting all the same; the others are looked through."""
    lost_meeting(both, monkeypatch)
    both.microsoft.desk(
        "POST", "faults", kind="status", method="GET", path="/v1.0/me/calendars/*", status=404, times=None
    )
    ended = step(end(both, remove=True), "remove_our_meetings")
    both.microsoft.mend()
    assert (ended["outcome"], ended["count"], written(both)) == ("Done", 1, [])


# --- how long an answer can be on its way ---------------------------------------------------------------------------


def about_to(world: World, what: str) -> tuple[Callable[..., Any], str, int]:
    """What makes it, for which connection and at which epoch."""
    if what == "meeting":
        return push.write_meetings, *about_to_write(world)
    return subscribe.ensure, *unsubscribed(world)


@pytest.mark.parametrize("what", ["subscription", "meeting"])
def test_what_was_asked_for_in_vain_when_the_click_came_is_not_waited_for(
    both: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    make, connection_id, epoch = about_to(both, what)
    click_before_the_next_token(both, monkeypatch)
    with pytest.raises(Fenced):
        make(connection_id, epoch, parts().providers["outlook-calendar"])
    assert try_(both, "remove_our_meetings" if what == "meeting" else "end_notifications") is None
    assert (len(placed()) if what == "meeting" else subscriptions()) == 0


def test_whatever_is_asked_for_is_settled_before_we_call_it_so_and_long_before_a_deadline() -> None:
    """A call waits for its turn, then for its answer; a disconnection that waits for that has time to look again."""
    longest, deadline = config.LONGEST_CALL * 2, config.load(GOOD).disconnect_deadline
    assert longest < intent.SETTLES.total_seconds() < deadline / 10
    asked_at = clock.now()
    assert intent.is_open(asked_at - timedelta(seconds=longest))
    assert intent.is_open(asked_at)
    assert not intent.is_open(asked_at - timedelta(seconds=deadline / 10))

"""Our meetings in a calendar, one by one or very many: what is gone is forgotten, and nothing else."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, text, update

from portal import clock
from portal.db import db
from portal.models import Calendar, Disconnection, DisconnectionStep, Placement
from portal.parts import parts
from portal.providers.base import Gone
from portal.workflows import at_once, carry_out, disconnect, intent, meetings_left, push, remove_our_meetings, sync
from portal.workflows.promise import Work
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

MANY = 66_000  # PostgreSQL takes 65,535 parameters with a statement

SEED = """
INSERT INTO meetings (id, business_id, organizer_id, title, place, starts_at, ends_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :many)
SELECT 'many-' || i, m.business_id, m.organizer_id, 'One of many', '', m.starts_at, m.ends_at
FROM n CROSS JOIN (SELECT * FROM meetings LIMIT 1) m
"""
PLACE = """
INSERT INTO placements (id, connection_id, meeting_id, provider_id, written_at)
SELECT m.id, c.id, m.id, 'event-' || m.id, c.created_at
FROM meetings m CROSS JOIN connections c WHERE m.title = 'One of many'
"""


def begin(world: World, *, removes: bool = True) -> str:
    connection = world.connection()
    row = disconnect.begin(connection.id, connection.member_id, remove_meetings=removes)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    return disconnection_id


def step() -> DisconnectionStep:
    return db.session.scalars(select(DisconnectionStep).where(DisconnectionStep.name == "remove_our_meetings")).one()


def placed() -> int:
    number = db.session.scalar(select(func.count()).select_from(Placement)) or 0
    db.session.rollback()
    return number


def written(world: World) -> int:
    """Alice is connected, and our meetings stand in her calendar; how many."""
    world.connected()
    connection = world.connection()
    connection_id, epoch = connection.id, connection.epoch
    calendar = db.session.scalars(select(Calendar.id).where(Calendar.is_default)).one()
    db.session.rollback()
    push.choose(connection_id, epoch, calendar)
    assert sync.want(connection_id)
    world.work()
    number = placed()
    assert number > 1
    return number


@pytest.mark.parametrize("at_once", [1, 500])
def test_it_works(both: World, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    """In as many portions as it takes."""
    monkeypatch.setattr(remove_our_meetings, "AT_ONCE", at_once)
    number = written(both)
    assert carry_out.attempt("remove_our_meetings", begin(both)) is None
    assert placed() == 0
    assert (step().outcome, step().count) == ("Done", number)


def test_very_many_are_no_more_than_a_database_takes(both: World) -> None:
    """Two are answered for, then Microsoft is not there: the map keeps the others."""
    both.connected()
    db.session.execute(Placement.__table__.delete())
    db.session.execute(text(SEED), {"many": MANY})
    db.session.execute(text(PLACE))
    db.session.commit()
    assert placed() == MANY
    disconnection_id = begin(both)
    later = clock.now() + timedelta(minutes=1)  # to read so many takes a moment
    db.session.execute(update(Disconnection).values(deadline_at=later))
    db.session.commit()
    both.microsoft.breaks("status", "events", status=503, skip=2, times=None)
    assert carry_out.attempt("remove_our_meetings", disconnection_id) is not None
    assert step().trouble == "Microsoft is not answering."
    assert placed() == MANY - 2


def test_what_was_found_meanwhile_is_not_forgotten(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin of the run finds a meeting whose answer was lost, after this one read which it has to remove."""
    written(both)
    found = db.session.scalars(select(Placement.provider_id)).first()
    disconnection_id, look = begin(both), meetings_left.those_left
    monkeypatch.setattr(meetings_left, "those_left", lambda connection_id: look(connection_id) - {found})
    assert carry_out.attempt("remove_our_meetings", disconnection_id) is None
    assert db.session.scalars(select(Placement.provider_id)).all() == [found]


# --- what cannot be looked up -----------------------------------------------------------------------------------------


def forget_where(number: int) -> list[str]:
    """The answers to the first writings of these never came; the events' ids."""
    asked = select(Placement).order_by(Placement.id).limit(number)
    rows = db.session.scalars(asked).all()
    names = [str(row.provider_id) for row in rows]
    for row in rows:
        row.provider_id, row.written_at = None, clock.now() - 2 * intent.SETTLES
    db.session.commit()
    return names


def ours(world: World) -> set[str]:
    events = world.microsoft.desk("GET", "accounts/adele@contoso.example/events")
    return {each["immutable_id"] for each in events if "CoordinoterId" in json.dumps(each)}


def searches_fail(world: World, *, status: int = 503, skip: int = 0) -> None:
    path = "/v1.0/me/*events"
    world.microsoft.desk("POST", "faults", kind="status", status=status, method="GET", path=path, skip=skip, times=None)


@pytest.mark.parametrize("status", [503, 401])
def test_what_we_know_of_is_removed_although_another_cannot_be_looked_up(both: World, status: int) -> None:
    """Until the time is over, or at once where Microsoft lets us in no more."""
    number = written(both)
    (lost,) = forget_where(1)
    searches_fail(both, status=status)
    disconnection_id = begin(both)
    while carry_out.attempt("remove_our_meetings", disconnection_id) is not None:
        assert ours(both) == {lost}
        disconnect.erase_now(disconnection_id)
    assert ours(both) == {lost}
    assert (step().outcome, step().count) == ("LeftToYou", 1)
    assert step().detail.startswith(f"{number - 1} meetings of ours removed from your calendar. Microsoft ")
    assert "1 meeting of ours may " in step().detail
    assert len(step().request_ids) >= number - 1


def test_what_is_found_is_removed_although_another_cannot_be_looked_up(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_once, "AT_ONCE", 1)
    number = written(both)
    lost = forget_where(2)
    searches_fail(both, skip=1)
    disconnection_id = begin(both)
    assert carry_out.attempt("remove_our_meetings", disconnection_id) is not None
    assert len(ours(both)) == 1
    assert ours(both) < set(lost)
    both.microsoft.mend()
    assert carry_out.attempt("remove_our_meetings", disconnection_id) is None
    assert (step().outcome, step().count, ours(both)) == ("Done", number, set())


@pytest.mark.parametrize("removes", [True, False])
@pytest.mark.parametrize("seen", [True, False], ids=["in sight", "out of sight"])
def test_one_that_may_stand_in_a_calendar_we_may_not_write_to_any_more_is_not_denied(
    both: World, monkeypatch: pytest.MonkeyPatch, seen: bool, removes: bool
) -> None:
    """The answer to its writing was lost, and then its owner took the right to write, or to see, away."""
    written(both)
    lost = forget_where(1)[0]
    there = Placement.provider_id.is_(None)
    db.session.execute(update(Placement).where(there).values(calendar_id="somebody else's"))
    db.session.execute(delete(Placement).where(~there))
    db.session.execute(update(Calendar).values(can_edit=False))
    db.session.commit()

    def find_event(_access: str, calendar_id: str, _mark: str) -> str | None:
        if calendar_id == "somebody else's":
            if seen:
                return lost
            raise Gone
        return None

    monkeypatch.setattr(parts().providers["outlook-calendar"], "find_event", find_event)
    disconnection_id = begin(both, removes=removes)
    assert carry_out.attempt("remove_our_meetings", disconnection_id) is None
    if seen:
        assert (step().outcome, step().count) == ("Done", 1)
        assert (lost in ours(both)) is not removes
    else:
        assert step().outcome == ("LeftToYou" if removes else "Done")
        assert step().detail.startswith("1 meeting")
        assert " may stand there" in step().detail


def test_where_none_was_written_none_can_fail_to_be_removed(both: World) -> None:
    """Microsoft let an earlier step wait in vain, so that this one is given up untried."""
    both.connected()
    ended = meetings_left.give_up(Work(begin(both)), "Microsoft is not answering.")
    assert (ended.outcome, ended.count) == ("Done", 0)
    assert ended.detail == "Over this connection Coordinoter had written no meeting into your calendar."


# --- what is refused --------------------------------------------------------------------------------------------------


def forbidden(world: World, event_id: str, *, times: int | None) -> None:
    """Microsoft refuses us this event alone."""
    path = f"/v1.0/me/events/{event_id}"
    world.microsoft.desk("POST", "faults", kind="status", status=403, method="GET", path=path, times=times)


def test_one_that_is_refused_is_left_to_the_person_and_the_others_are_removed(both: World) -> None:
    number = written(both)
    stays = sorted(ours(both))[0]
    forbidden(both, stays, times=None)
    assert carry_out.attempt("remove_our_meetings", begin(both)) is None
    assert ours(both) == {stays}
    assert (step().outcome, step().count) == ("LeftToYou", 1)
    assert step().detail == (
        f"{number - 1} meetings of ours removed from your calendar. Microsoft refused: "
        "1 meeting of ours stayed in your calendar. "
        f"{meetings_left.by_hand(1)}"
    )


def test_one_that_was_refused_is_asked_for_once_more_when_the_others_are_gone(both: World) -> None:
    number = written(both)
    forbidden(both, sorted(ours(both))[0], times=1)
    assert carry_out.attempt("remove_our_meetings", begin(both)) is None
    assert (step().outcome, step().count, ours(both)) == ("Done", number, set())

"""kill -9 between Microsoft's answer to what makes something there and our own note of it: nothing is lost."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Meeting, Member, Placement, Subscription
from portal.workflows import push, sync
from tests import invariants
from tests.kill.conftest import BuildTown
from tests.kill.processes import Child, until
from tests.kill.town import Town


def begun(build: BuildTown, kind: str) -> tuple[Town, Child]:
    """One person, a web process, and a worker that nobody starts again when it dies."""
    town = build(kind)
    town.sandbox()
    town.web(engine=False)
    town.settle(1)
    return town, town.worker("worker", planned="worker")


def dies_after(town: Town, call: str) -> None:
    (town.plan / call).write_text("answer after SIGKILL")


def until_dead(worker: Child) -> None:
    until(lambda: not worker.is_alive(), "the worker comes to the chosen instant", within=60)


def held(town: Town) -> list[str]:
    return [each["id"] for each in town.microsoft.holds(town.people[0].account)["subscriptions"]]


def written(town: Town) -> int:
    events = town.microsoft.desk("GET", f"accounts/{town.people[0].account}/events")
    return sum("CoordinoterId" in json.dumps(event) for event in events)


def severed(town: Town, worker: Child, connection_id: str, step: str) -> Any:
    """The worker comes back, and the disconnection that was clicked meanwhile ends; its step of this name."""
    worker.start()
    town.until_at_rest([connection_id], within=90)
    with town.looking():
        invariants.hold([connection_id], town.microsoft, {town.people[0].account: [connection_id]})
    found = town.disconnection(connection_id)
    assert found is not None
    return next(each for each in found.steps if each.name == step)


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_a_subscription_that_we_never_heard_of_is_deleted(build: BuildTown, kind: str) -> None:
    town, worker = begun(build, kind)
    dies_after(town, "subscribe")
    person = town.people[0]
    with town.looking():
        person.inside.connect(person.account)
    connection_id = town.connection_of(person)
    until_dead(worker)
    assert len(held(town)) == 1
    with town.looking():
        assert db.session.scalars(select(Subscription.provider_id)).all() == [None]
    town.click(person, connection_id)
    ended = severed(town, worker, connection_id, "end_notifications")
    assert (ended.outcome, ended.count) == ("Done", 1)
    assert held(town) == []


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def test_a_meeting_that_we_never_heard_of_is_removed(build: BuildTown, kind: str) -> None:
    town, worker = begun(build, kind)
    person = town.people[0]
    (connection_id,) = town.connect(person)
    dies_after(town, "write_event")
    with town.looking():
        plan_one()
        epoch = db.session.scalars(select(Connection.epoch)).one()
        calendar_id = db.session.scalars(select(Calendar.id).where(Calendar.is_default)).one()
        db.session.rollback()
        push.choose(connection_id, epoch, calendar_id)
        sync.want(connection_id)
    until_dead(worker)
    assert written(town) == 1
    with town.looking():
        assert db.session.scalars(select(Placement.provider_id)).all() == [None]
    until(lambda: person.click(town.url, connection_id, meetings="remove") in (200, 303), "the click", within=30)
    ended = severed(town, worker, connection_id, "remove_our_meetings")
    assert (ended.outcome, ended.count) == ("Done", 1)
    assert written(town) == 0


def plan_one() -> None:
    """A coming meeting of the one member there is."""
    owner = db.session.scalars(select(Member)).one()
    starts = clock.now() + timedelta(hours=2)
    ends, whose = starts + timedelta(hours=1), {"business_id": owner.business_id, "organizer_id": owner.id}
    db.session.add(Meeting(title="Review", place="", starts_at=starts, ends_at=ends, **whose))
    db.session.commit()


@pytest.mark.long
def test_the_next_sync_takes_it_as_ours(build: BuildTown) -> None:
    town, worker = begun(build, "sqlite")
    dies_after(town, "subscribe")
    person = town.people[0]
    with town.looking():
        person.inside.connect(person.account)
    connection_id = town.connection_of(person)
    until_dead(worker)
    lost = held(town)
    worker.start()
    with town.looking():  # the dead worker's lease is over
        db.session.execute(update(Connection).values(sync_lease=None, sync_lease_until=None))
        db.session.commit()
        sync.want(connection_id)

    def known() -> bool:
        with town.looking():
            return db.session.scalars(select(Subscription.provider_id)).all() == lost

    until(known, "the lost subscription is known", within=60)
    assert held(town) == lost

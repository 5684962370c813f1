"""What is owed a run: our rows say so, whatever became of the run that they had; on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from portal import clock
from portal.db import db, make_engine
from portal.durable import executors, runs
from portal.durable.start import ALIVE, client
from portal.durable.takeover import OWED_EVERY, Look, attended
from portal.models import Connection
from portal.models.connection import CONNECTED, CONNECTING, DISCONNECTING, NEEDS_ATTENTION
from portal.workflows import disconnect, sync
from tests.world import CARD, World

pytestmark = pytest.mark.postgresql_is_long

MEGAN = ("bob@northwind.example", "megan@outlook.example")


def lose_every_run() -> None:
    """As an error of ours, or somebody at the engine's tables, would."""
    for each in client().list_workflows(status=ALIVE, load_input=False, load_output=False):
        client().cancel_workflow(each.workflow_id)


def look_around(world: World) -> None:
    """As long as it takes to miss a run twice."""
    db.session.rollback()
    engine = make_engine(world.app.config["SQLALCHEMY_DATABASE_URI"])
    look = Look(engine, executors.me())
    for _ in range(OWED_EVERY + 1):
        look.around(clock.monotonic())
    engine.dispose()


def owed(name: str) -> list[str]:
    db.session.rollback()
    found = runs.owing[name]()
    db.session.rollback()
    return found


def connected(world: World, *whom: str) -> tuple[str, str]:
    """The ids of one of the cast's connection, and of the member."""
    world.connected(*whom)
    newest = select(Connection.id, Connection.member_id).order_by(Connection.created_at.desc())
    found = db.session.execute(newest).first()
    db.session.rollback()
    assert found is not None
    return found[0], found[1]


def begin(connection_id: str, member_id: str) -> str:
    begun = disconnect.begin(connection_id, member_id)
    assert begun is not None
    return begun.id


def set_on(connection_id: str, **values: Any) -> None:
    db.session.execute(update(Connection).where(Connection.id == connection_id).values(values))
    db.session.commit()


def test_it_works(both: World) -> None:
    """A disconnection and a sync are given a run again, each of its own kind, and nobody else is."""
    (wanting, _bob), severed = connected(both, *MEGAN), connected(both)
    disconnection_id = begin(*severed)
    assert sync.want(wanting)
    connecting = both.sign_in("charlie@fabrikam.example")
    connecting.get(CARD)
    connecting.press("Connect to Microsoft", follow=False)
    lose_every_run()
    assert (attended("disconnect"), attended("sync")) == (set(), set())
    look_around(both)
    assert (attended("disconnect"), attended("sync")) == ({disconnection_id}, {wanting})


def test_what_has_ended_is_owed_nothing(both: World) -> None:
    connection_id, member_id = connected(both)
    assert owed("sync") == []
    assert sync.want(connection_id)
    assert owed("sync") == [connection_id]
    both.work()
    assert owed("sync") == []
    disconnection_id = begin(connection_id, member_id)
    assert owed("disconnect") == [disconnection_id]
    both.work()
    assert (owed("disconnect"), owed("sync")) == ([], [])


def test_a_sync_is_owed_to_the_living_alone(both: World) -> None:
    connection_id, _member_id = connected(both)
    for state in (NEEDS_ATTENTION, DISCONNECTING, CONNECTING, CONNECTED):
        set_on(connection_id, state=state, sync_wanted_at=clock.now())
        assert owed("sync") == ([connection_id] if state == CONNECTED else []), state


def test_none_is_owed_while_one_is_at_it(both: World) -> None:
    """It looks again before it ends. One that died lets go when its lease is over."""
    connection_id, _member_id = connected(both)
    now = clock.now()
    for until, is_owed in ((now + timedelta(minutes=1), False), (now - timedelta(seconds=1), True), (None, True)):
        set_on(connection_id, sync_wanted_at=now, sync_lease="a" * 32, sync_lease_until=until)
        assert owed("sync") == ([connection_id] if is_owed else []), until

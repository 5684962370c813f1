"""Declaring, starting and doing: what goes into the engine, and what a step tells when it breaks."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal import durable
from portal.db import db, make_engine, new_id
from portal.durable import runs
from portal.durable.places import Places
from portal.durable.start import VERSION, client
from tests.world import World


def test_it_works(both: World) -> None:
    row = new_id()
    assert durable.step(lambda given: given == row, row) is True
    durable.enqueue(db.session(), "disconnect", row)
    db.session.commit()
    (run,) = client().list_workflows(workflow_id_prefix=row)
    assert (run.status, run.name, run.queue_name, run.app_version) == ("ENQUEUED", "disconnect", "disconnect", VERSION)
    assert run.input["args"] == (row,), "an id, and nothing else"


def test_a_run_exists_only_if_the_transaction_commits(both: World) -> None:
    row = new_id()
    durable.enqueue(db.session(), "disconnect", row)
    db.session.rollback()
    assert client().list_workflows(workflow_id_prefix=row) == []


def test_the_same_run_id_twice_is_one_run(both: World) -> None:
    row = new_id()
    for _ in range(2):
        durable.enqueue(db.session(), "disconnect", row, run_id=row)
        db.session.commit()
    assert len(client().list_workflows(workflow_id_prefix=row)) == 1


def test_a_nudge_reaches_every_living_run_of_the_row_and_no_other(both: World) -> None:
    row, ended = new_id(), new_id()
    for run_id in (row, f"{row}.again-1", ended):
        durable.enqueue(db.session(), "disconnect", run_id[:32], run_id=run_id)
    db.session.commit()
    client().cancel_workflow(ended)
    durable.nudge(db.session(), row, "topic")
    durable.nudge(db.session(), ended, "topic")
    db.session.commit()
    table = "notifications" if db.engine.dialect.name == "sqlite" else "dbos.notifications"
    reached = set(db.session.scalars(text(f"SELECT destination_uuid FROM {table}")))
    assert reached == {row, f"{row}.again-1"}


def test_a_step_that_breaks_tells_the_kind_of_error_only(world: World) -> None:
    def breaks(_row: str) -> None:
        raise ValueError("the secret")

    with pytest.raises(durable.StepBroke) as caught:
        durable.step(breaks, "row")
    assert str(caught.value) == "ValueError"
    assert caught.value.__cause__ is None


def test_a_database_that_is_away_is_told_from_a_mistake(world: World) -> None:
    lost = InternalError("SELECT", {}, Exception(), connection_invalidated=True)
    for error in (OperationalError("SELECT", {}, Exception()), PoolTimeout(), lost):
        assert durable.is_away(error), error
    for mistake in (ProgrammingError("SELECT", {}, Exception()), InternalError("SELECT", {}, Exception()), KeyError()):
        assert not durable.is_away(mistake), mistake


def test_a_frozen_transaction_cannot_hold_its_locks_for_ever(postgres_urls: tuple[str, str]) -> None:
    """On PostgreSQL. On SQLite nothing can take a lock away from a frozen process: it is one machine."""
    for for_durable in (False, True):
        engine = make_engine(postgres_urls[0], for_durable=for_durable)
        with engine.connect() as connection:
            assert connection.scalar(text("SHOW idle_in_transaction_session_timeout")) == "20s"
        engine.dispose()


class Threads:
    """An engine in which every thread is a run of its own; a pause ends when it is told to."""

    def __init__(self) -> None:
        self.paused, self.wake = threading.Semaphore(0), threading.Event()

    @property
    def workflow_id(self) -> str:
        return threading.current_thread().name

    def recv(self, _topic: str, *, timeout_seconds: float) -> bool:
        self.paused.release()
        return self.wake.wait(timeout_seconds)


def test_only_so_many_runs_do_anything_and_one_that_pauses_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand that all work at once get nothing done, and look as if nobody were at them."""
    engine, places = Threads(), Places(2)
    monkeypatch.setattr(runs, "DBOS", engine)
    entered, resumed, end = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)

    def work() -> None:
        with runs._working(places):
            entered.release()
            assert end.acquire(timeout=60)

    def pause() -> None:
        with runs._working(places):
            durable.pause(10, "topic")
            resumed.set()

    pausing = threading.Thread(target=pause, name="pausing", daemon=True)
    pausing.start()
    assert engine.paused.acquire(timeout=10)
    threads = [threading.Thread(target=work, name=f"run {number}", daemon=True) for number in range(3)]
    for thread in threads:
        thread.start()
    assert entered.acquire(timeout=10)
    assert entered.acquire(timeout=10), "the one that pauses takes no place"
    assert not entered.acquire(timeout=0.3), "a third one is at work"
    assert runs.at_work() == {"pausing", "run 0", "run 1", "run 2"}, "whoever waits for a place is not abandoned"
    engine.wake.set()
    assert not resumed.wait(0.3), "after its pause a run waits for a place like the others"
    end.release()
    assert resumed.wait(10), "but somebody sits before the one that was nudged: it goes before the third"
    assert entered.acquire(timeout=10)
    end.release(2)
    for thread in (pausing, *threads):
        thread.join(10)
    assert resumed.is_set()
    assert runs.at_work() == set()

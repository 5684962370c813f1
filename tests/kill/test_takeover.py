"""Runs whose process is gone, silent, frozen or was never there: another process finishes them, in time."""

from __future__ import annotations

import signal
import time
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select, text, update

from portal import clock
from portal.db import db
from portal.durable.start import client
from portal.models import Connection, Disconnection, Executor
from tests import invariants
from tests.kill.conftest import BuildTown
from tests.kill.processes import until
from tests.kill.town import Town

BY_ANOTHER = 60.0  # seconds within which another worker has taken over
GONE = "elsewhere~000000000000:1:1"
BY_ITSELF = 10.0  # seconds within which a restarted process has resumed


def begin(town: Town, number: int = 2) -> list[str]:
    """People connect and click; nothing says who works on it."""
    town.settle(number)
    ids = town.connect(*town.people)
    for person, connection_id in zip(town.people, ids, strict=True):
        town.click(person, connection_id)
    return ids


def check(town: Town, ids: list[str]) -> None:
    """Everything that must be true in the end."""
    town.until_at_rest(ids, within=60)
    accounts = {person.account: [connection_id] for person, connection_id in zip(town.people, ids, strict=True)}
    with town.looking():
        invariants.hold(ids, town.microsoft, accounts)


def slowly(town: Town, seconds: float) -> None:
    """Microsoft takes its time, so that runs are at work when the test acts."""
    town.microsoft.breaks("delay", "subscriptions", delay=seconds, times=None)


def until_at_work(town: Town, step: str, ids: list[str]) -> None:
    """Wait until every disconnection is in the middle of this step."""

    def all_in_it() -> bool:
        found = [town.disconnection(connection_id) for connection_id in ids]
        at_work = [row.step_at_work() for row in found if row is not None]
        return all(each is not None and each.name == step and each.is_running() for each in at_work)

    until(all_in_it, f"{step} is at work", within=30)


def test_a_restarted_process_resumes_on_sqlite(build: BuildTown) -> None:
    town = build("sqlite")
    town.sandbox()
    web = town.web(engine=True)
    slowly(town, 1.5)
    ids = begin(town)
    until_at_work(town, "end_notifications", ids)
    web.kill()
    web.start()
    began = time.monotonic()
    resumed = "taking over"
    until(lambda: web.says(resumed), "the runs are resumed", within=BY_ITSELF + 20)
    assert time.monotonic() - began < BY_ITSELF
    check(town, ids)


@pytest.mark.parametrize(
    ("kind", "how"),
    [
        pytest.param("sqlite", "SIGKILL", marks=pytest.mark.long),
        pytest.param("postgresql", "SIGTERM", marks=pytest.mark.long),
        pytest.param("sqlite", "SIGTERM", marks=pytest.mark.long),
        pytest.param("postgresql", "SIGKILL", marks=pytest.mark.long),
    ],
)
def test_a_rolling_restart_strands_nothing(build: BuildTown, kind: str, how: str) -> None:
    """The new process starts while the old one lives and works."""
    town = build(kind)
    town.sandbox()
    town.web(engine=False)
    old = town.worker("old")
    slowly(town, 2)
    ids = begin(town)
    until_at_work(town, "end_notifications", ids)
    town.worker("new")
    if how == "SIGTERM":
        assert old.terminate() < 12
        assert old.process is not None
        assert old.process.returncode == 0
    else:
        old.kill()
    town.until_all_ended(within=30)
    check(town, ids)


@pytest.mark.parametrize("when", ["locked", pytest.param("before", marks=pytest.mark.long)])
def test_the_silent_are_taken_over_and_do_no_harm_when_they_wake_up(build: BuildTown, when: str) -> None:
    """One worker is frozen (SIGSTOP) in the middle of a step, with a row locked; one on another machine is killed.

    Of neither does a process number say anything here, only silence: another machine is simulated by its name.
    """
    town = build("postgresql")
    town.sandbox()
    town.web(engine=False)
    frozen = town.worker("frozen", planned="worker")
    town.settle(2)
    ids = town.connect(*town.people)
    (town.plan / ids[0]).write_text(f"try_the_old_token {when} SIGSTOP")
    town.click(town.people[0], ids[0])
    until(lambda: (town.plan / f"{ids[0]}.fired").exists(), "the worker froze", within=30)
    gone = town.worker("gone", planned="worker-elsewhere")
    slowly(town, 1.5)
    town.click(town.people[1], ids[1])
    until_at_work(town, "end_notifications", ids[1:])
    town.worker("survivor")
    gone.kill()
    took = town.until_all_ended(within=BY_ANOTHER)
    assert took > 8, "nobody may be called dead at the first silence"
    before = _told(town, ids[0])
    frozen.signal(signal.SIGCONT)
    time.sleep(3)
    assert frozen.is_alive()
    assert _told(town, ids[0]) == before, "what was written once stays as it was"
    check(town, ids)


def _told(town: Town, connection_id: str) -> list[object]:
    found = town.disconnection(connection_id)
    assert found is not None
    steps = [(step.outcome, step.detail, step.ended_at, step.attempts) for step in found.steps]
    return [found.finished_at, found.lapses_at, found.subscription_ends_at, *steps]


LOSSES = {
    "waiting": "",
    "cancelled": "status = 'CANCELLED', queue_name = NULL",
    "broken": "status = 'ERROR'",
    "stranded": f"status = 'PENDING', executor_id = '{GONE}'",
    "deleted": "",
    "claimed": "",
}
"""What became of a run before any engine came to it, and how the engine's own row shows it. A claimed one is dropped
by the first worker itself; see `drop_the_first_claim` in `launch.py`."""


@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def test_whatever_got_lost_is_found(build: BuildTown, kind: str) -> None:
    """Clicks were stored while no engine ran, and a sync is wanted without a run. A worker that starts does it all."""
    town = build(kind)
    town.sandbox()
    town.web(engine=False)
    first = town.worker("first")
    town.settle(len(LOSSES) + 1)
    *ids, synced = town.connect(*town.people)
    first.terminate()
    for person, connection_id in zip(town.people, ids, strict=False):
        town.click(person, connection_id)
    asked = clock.now()
    with town.looking():
        runs = dict(db.session.execute(select(Disconnection.connection_id, Disconnection.id)).all())
        for connection_id, loss in zip(ids, LOSSES, strict=True):
            lose(runs[connection_id], loss)
        db.session.add(Executor(id=GONE, seen_at=clock.now() - timedelta(minutes=5)))
        db.session.execute(update(Connection).where(Connection.id == synced).values(sync_wanted_at=asked))
        db.session.commit()
    town.worker("second", planned="worker-drops-claim")
    town.until_all_ended(within=BY_ANOTHER)
    until(lambda: synced_since(town, synced, asked), "the calendar is synced", within=BY_ANOTHER)
    town.people.pop()  # stays connected
    check(town, ids)


def lose(run_id: str, loss: str) -> None:
    """Tamper with the engine, as an error, an operator or a restored back-up would."""
    if loss == "deleted":
        client().delete_workflow(run_id)
    if not LOSSES[loss]:
        return
    table = "workflow_status" if db.engine.dialect.name == "sqlite" else "dbos.workflow_status"
    asked = text(f"UPDATE {table} SET {LOSSES[loss]} WHERE workflow_uuid = :id")
    changed = db.session.execute(asked, {"id": run_id})
    assert changed.rowcount == 1  # type: ignore[attr-defined]
    db.session.commit()


def synced_since(town: Town, connection_id: str, asked: datetime) -> bool:
    """Whether a sync has ended since it was asked for."""
    with town.looking():
        last = db.session.scalar(select(Connection.last_sync_at).where(Connection.id == connection_id))
        return last is not None and last > asked

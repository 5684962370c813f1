"""The deadline counts from the click: dying neither loses nor extends it. Processes end, and wait, as they should."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from portal.models import Disconnection
from tests import invariants
from tests.kill.conftest import BuildTown
from tests.kill.postgres import Postgres
from tests.kill.processes import Child, until
from tests.kill.town import Town

DEADLINE = 8.0
SLACK = 15.0  # seconds, on a busy machine


def dark_town(build: BuildTown, kind: str, deadline: float) -> tuple[Town, Child, Disconnection]:
    """Somebody has clicked, and Microsoft does not answer: the run pauses between two tries."""
    town = build(kind, deadline=deadline)
    town.sandbox()
    web = town.web(engine=True)
    town.settle(1)
    ids = town.connect(*town.people)
    town.microsoft.breaks("drop", "all", times=None)
    begun = town.click(town.people[0], ids[0])
    until(lambda: tries(town, ids[0]) >= 2, "the step was tried twice", within=20)
    return town, web, begun


def tries(town: Town, connection_id: str) -> int:
    """How often the step at work was tried."""
    found = town.disconnection(connection_id)
    step = found.step_at_work() if found else None
    return step.attempts if step else 0


@pytest.mark.parametrize(
    ("kind", "away"),
    [
        pytest.param("sqlite", "briefly", marks=pytest.mark.long),
        ("postgresql", "beyond the deadline"),
        pytest.param("sqlite", "beyond the deadline", marks=pytest.mark.long),
        pytest.param("postgresql", "briefly", marks=pytest.mark.long),
    ],
)
def test_dying_neither_loses_nor_extends_the_deadline(build: BuildTown, kind: str, away: str) -> None:
    town, web, begun = dark_town(build, kind, DEADLINE)
    web.kill()
    if away == "beyond the deadline":
        left = begun.deadline_at.timestamp() - time.time()
        time.sleep(left + 0.5)
    web.start()
    town.wait_for_web()
    back = time.time()
    town.until_at_rest([begun.connection_id], within=DEADLINE + 20)
    ended = town.disconnection(begun.connection_id)
    assert ended is not None
    assert ended.finished_at is not None
    assert ended.deadline_at == begun.deadline_at
    step = next(step for step in ended.steps if step.name == "end_notifications")
    assert step.outcome == "Expires", "Microsoft never answered, and we know of one subscription"
    assert step.ended_at is not None
    assert step.ended_at >= begun.deadline_at - timedelta(seconds=0.5), "it was tried until the deadline"
    if away == "briefly":
        assert ended.finished_at <= begun.deadline_at + timedelta(seconds=SLACK)
    else:
        assert ended.finished_at.timestamp() <= back + SLACK
    town.microsoft.mend()
    with town.looking():
        invariants.nothing_is_left([begun.connection_id])
        invariants.every_key_is_gone([begun.connection_id])


def test_a_process_with_a_pausing_run_ends_at_once(build: BuildTown) -> None:
    """A run pauses in a thread that Python itself would wait for: neither gunicorn nor the worker may hang on it."""
    town, web, begun = dark_town(build, "sqlite", deadline=60)
    assert web.terminate() < 5, "gunicorn's own patience (--graceful-timeout 5) must not be needed"
    worker = town.worker("worker")
    before = tries(town, begun.connection_id)
    until(lambda: tries(town, begun.connection_id) > before, "the worker went on", within=40)
    assert worker.terminate() < 10
    assert worker.process is not None
    assert worker.process.returncode == 0


def test_a_database_that_is_away_for_a_while(build: BuildTown, own_postgres: Postgres) -> None:
    """Web and workers wait for it and go on by themselves; a worker that starts meanwhile waits as well."""
    town = build("postgresql")
    town.sandbox()
    web = town.web(engine=False)
    workers = [town.worker("first")]
    town.settle(2)
    ids = town.connect(*town.people)
    town.microsoft.breaks("delay", "subscriptions", delay=2, times=None)
    for person, connection_id in zip(town.people, ids, strict=True):
        town.click(person, connection_id)
    time.sleep(1)
    own_postgres.kill()
    late = Child("late", workers[0].argv, workers[0].env, town.folder)
    town.children.append(late.start())
    time.sleep(5)
    assert all(child.is_alive() for child in (web, late, *workers))
    own_postgres.start()
    town.wait_for_web()
    town.until_at_rest(ids, within=60)
    until(lambda: late.says("The worker is running."), "the late worker runs", within=20)
    accounts = {person.account: [connection_id] for person, connection_id in zip(town.people, ids, strict=True)}
    with town.looking():
        invariants.hold(ids, town.microsoft, accounts)

"""What one look around does to runs that nobody is at. No engine runs here: the engine's rows are set by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from dbos import WorkflowStatus
from sqlalchemy import Engine, text

from portal import clock, durable
from portal.db import db, make_engine, new_id
from portal.durable import executors, forget, runs, takeover
from portal.durable.places import Places
from portal.durable.start import client
from portal.durable.takeover import GRACE, LOOKS, LOOKS_AT_MOST, LOOKS_SLOW, Look
from tests.world import World

ME = "here~000000000000:1:1"
OTHER = "there~000000000000:1:1"


@pytest.fixture
def look(both: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Look]:
    """The eyes of a process that is called ME; nothing is owed."""
    monkeypatch.setattr(runs, "owing", {})
    engine = make_engine(both.app.config["SQLALCHEMY_DATABASE_URI"])
    yield Look(engine, ME)
    engine.dispose()


def begin(name: str = "disconnect", *, at: str = "") -> str:
    """A run, waiting; or at work in a process."""
    run_id = new_id()
    durable.enqueue(db.session(), name, run_id, run_id)
    db.session.commit()
    if at:
        set_run(run_id, f"status = 'PENDING', executor_id = '{at}'")
    return run_id


def set_run(run_id: str, change: str) -> None:
    table = "workflow_status" if db.engine.dialect.name == "sqlite" else "dbos.workflow_status"
    db.session.execute(text(f"UPDATE {table} SET {change} WHERE workflow_uuid = :id"), {"id": run_id})
    db.session.commit()


def of(run_id: str) -> tuple[str, str | None]:
    """A run's status and queue."""
    found = client().list_workflows(workflow_ids=[run_id])
    return found[0].status, found[0].queue_name


def test_it_works(look: Look) -> None:
    run_id = begin(at=OTHER)
    look.around(clock.monotonic())
    assert of(run_id) == ("ENQUEUED", "disconnect"), "back in the queue that it came from"


def test_the_living_keep_their_runs(look: Look) -> None:
    executors.beat(look._engine, OTHER)
    run_id, waiting = begin(at=OTHER), begin()
    look.around(clock.monotonic())
    assert of(run_id)[0] == "PENDING"
    assert of(waiting)[0] == "ENQUEUED"


def test_a_run_that_we_claimed_and_are_not_at_takes_two_looks(look: Look) -> None:
    run_id = begin(at=ME)
    look.around(clock.monotonic())
    assert of(run_id)[0] == "PENDING", "it may only have begun or ended this very moment"
    look.around(clock.monotonic())
    assert of(run_id)[0] == "ENQUEUED"


def test_a_large_claim_is_begun_one_after_the_other(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """While runs of it begin, those whose turn has not come are not lost; one that never comes is taken in the end."""
    lost, begun = begin(at=ME), [begin(at=ME) for _ in range(LOOKS_SLOW - 1)]
    at_work = set[str]()
    monkeypatch.setattr(runs, "at_work", lambda: at_work)
    for run_id in begun:
        look.around(clock.monotonic())
        assert {of(each)[0] for each in (lost, *begun)} == {"PENDING"}
        at_work.add(run_id)
    look.around(clock.monotonic())
    assert of(lost)[0] == "ENQUEUED"
    assert {of(each)[0] for each in begun} == {"PENDING"}


@pytest.mark.parametrize("seen", [True, False])
def test_an_end_that_has_still_to_be_written_down_is_waited_for(
    look: Look, monkeypatch: pytest.MonkeyPatch, seen: bool
) -> None:
    """Whether or not it was at work when we looked."""
    run_id = begin(at=ME)
    with monkeypatch.context() as at_work:
        at_work.setattr(runs, "DBOS", SimpleNamespace(workflow_id=run_id))
        with runs._working(Places(1)):
            if seen:
                look.around(clock.monotonic())
                assert runs.ended_lately() == set()
    for _ in range(LOOKS_SLOW - 1):
        look.around(clock.monotonic())
        assert of(run_id)[0] == "PENDING"
    look.around(clock.monotonic())
    assert of(run_id)[0] == "ENQUEUED", "not for ever: the database may have been lost just then"
    set_run(run_id, f"status = 'PENDING', executor_id = '{ME}'")
    for _ in range(2 * LOOKS):
        look.around(clock.monotonic())
    assert of(run_id)[0] == "ENQUEUED", "claimed again it is a run like any other"


def test_what_could_not_be_put_back_is_put_back_at_the_next_look(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = begin(at=ME)
    look.around(clock.monotonic())
    with monkeypatch.context() as broken, pytest.raises(OSError, match="full"):
        broken.setattr(takeover, "resume", _disk_is_full)
        look.around(clock.monotonic())
    look.around(clock.monotonic())
    assert of(run_id)[0] == "ENQUEUED"


def test_a_run_that_was_put_back_and_claimed_again_has_its_time_again(look: Look) -> None:
    """Each time twice as long: on a machine where all is slow, claims that follow one another begin nothing at all."""
    run_id = begin(at=ME)
    for patience in (LOOKS, LOOKS * 2, LOOKS * 4, LOOKS * 8, LOOKS_AT_MOST, LOOKS_AT_MOST):
        for _ in range(patience - 1):
            look.around(clock.monotonic())
            assert of(run_id)[0] == "PENDING", patience
        look.around(clock.monotonic())
        assert of(run_id)[0] == "ENQUEUED", patience
        set_run(run_id, f"status = 'PENDING', executor_id = '{ME}'")


def test_the_doubt_goes_when_all_is_well(look: Look) -> None:
    run_id = begin(at=ME)
    for _ in range(LOOKS):
        look.around(clock.monotonic())
    look.around(clock.monotonic())  # it is in its queue, and nothing of ours is idle
    set_run(run_id, f"status = 'PENDING', executor_id = '{ME}'")
    for _ in range(LOOKS):
        assert of(run_id)[0] == "PENDING"
        look.around(clock.monotonic())
    assert of(run_id)[0] == "ENQUEUED"


def test_a_run_that_we_are_at_is_left_alone(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = begin(at=ME)
    monkeypatch.setattr(runs, "at_work", lambda: {run_id})
    look.around(clock.monotonic())
    look.around(clock.monotonic())
    assert of(run_id)[0] == "PENDING"


def test_after_a_gap_nobody_is_called_dead_before_they_could_show_themselves(look: Look) -> None:
    look.around(clock.monotonic())
    run_id = begin(at=OTHER)
    later = clock.monotonic() + GRACE + 1
    for seconds in (0.0, GRACE / 2, GRACE - 0.1):  # this process, and perhaps everybody, was asleep
        look.around(later + seconds)
        assert of(run_id)[0] == "PENDING", seconds
    look.around(later + GRACE)
    assert of(run_id)[0] == "ENQUEUED"


def test_a_look_that_takes_long_is_no_sleep(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every look takes long, what is dead must be taken over all the same."""
    seconds = 0.0

    def ask_slowly(_engine: Engine) -> set[str]:
        nonlocal seconds
        seconds += GRACE + 1
        return set()

    monkeypatch.setattr(takeover.clock, "monotonic", lambda: seconds)
    monkeypatch.setattr(takeover.executors, "living", ask_slowly)
    run_id, now = begin(at=ME), 100.0
    look.around(now)
    set_run(run_id, f"executor_id = '{OTHER}'")
    look.around(now + GRACE + 1 + executors.HEARTBEAT)
    assert of(run_id)[0] == "ENQUEUED"


def test_who_sleeps_in_the_middle_of_a_look_calls_nobody_dead(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = begin(at=OTHER)
    times = iter([0.0, GRACE + 1, GRACE + 1])
    with monkeypatch.context() as asleep:
        asleep.setattr(takeover.clock, "monotonic", lambda: next(times))
        look.around(100.0)
    assert of(run_id)[0] == "PENDING"
    look.around(100.0 + 2 * GRACE + 1)
    assert of(run_id)[0] == "ENQUEUED"


def test_without_a_database_nobody_is_called_dead_either(look: Look) -> None:
    run_id = begin(at=OTHER)
    now = clock.monotonic()
    look.missed(now)
    look.around(now + 1)
    assert of(run_id)[0] == "PENDING"


def owe(monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    monkeypatch.setattr(runs, "owing", {"disconnect": lambda: list(rows)})


def many_looks(look: Look) -> None:
    for _ in range(6):
        look.around(clock.monotonic())


def runs_of(row: str) -> list[str]:
    return [run.status for run in client().list_workflows(workflow_id_prefix=row)]


@pytest.mark.parametrize("how", ["ERROR", "CANCELLED", "SUCCESS", "never"])
def test_a_row_that_is_owed_a_run_is_given_one(look: Look, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    row = new_id()
    if how != "never":
        row = begin()
        set_run(row, f"status = '{how}'")
    owe(monkeypatch, row)
    many_looks(look)
    assert sorted(runs_of(row)) == sorted(["ENQUEUED", *([how] if how != "never" else [])])


def test_a_row_whose_run_waits_or_works_is_not(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    executors.beat(look._engine, OTHER)
    waiting, working = begin(), begin(at=OTHER)
    owe(monkeypatch, waiting, working)
    many_looks(look)
    assert (runs_of(waiting), runs_of(working)) == (["ENQUEUED"], ["PENDING"])


def test_however_many_look_one_run_is_started(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    row = new_id()
    owe(monkeypatch, row)
    monkeypatch.setattr("portal.durable.takeover.clock.now", lambda: _noon)
    another = Look(look._engine, OTHER)
    for _ in range(4):  # both find it lacking before either has started it
        look.around(clock.monotonic())
        another.around(clock.monotonic())
    monkeypatch.setattr("portal.durable.takeover.attended", lambda _name: set())
    many_looks(another)
    assert runs_of(row) == ["ENQUEUED"]


def _disk_is_full(orphans: list[WorkflowStatus]) -> None:
    if orphans:
        raise OSError("full")


_noon = clock.now().replace(hour=12, minute=0, second=0)


def test_old_runs_are_forgotten_and_young_or_living_ones_kept(both: World) -> None:
    old, young, living = begin(), begin(), begin()
    long_ago = int((clock.now() - forget.KEEP - timedelta(hours=1)).timestamp() * 1000)
    set_run(old, f"status = 'SUCCESS', completed_at = {long_ago}")
    set_run(young, f"status = 'ERROR', completed_at = {int(clock.now().timestamp() * 1000)}")
    assert durable.forget_runs() == 1
    left = {run.workflow_id for run in client().list_workflows()}
    assert left == {young, living}

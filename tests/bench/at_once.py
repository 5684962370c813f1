"""Many disconnections at once: how many end per second, and in how much memory, beside the engine's own ceiling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import func, select

from portal import durable
from portal.db import db, new_id, reads_only
from portal.durable.start import ALIVE, client
from portal.models import Disconnection, DisconnectionStep
from portal.workflows import disconnect
from tests.bench.crowd import crowd
from tests.bench.launch import NOTHING
from tests.bench.towns import measured
from tests.kill.processes import Child, until
from tests.kill.town import Town

PATIENCE = 120.0  # seconds, and one more for each disconnection: nothing is judged by them
AT_LEAST = 0.05
"""Disconnections per second, as a share of what the engine alone does with nine empty steps.

Measured: 0.09 on a busy machine, up to 0.44.
"""
AT_MOST = 3.0
"""Memory of a worker at its peak, as a multiple of one that does nothing.

Measured: 1.56 with 1,000 at once on PostgreSQL.
"""
HEADS = ("database", "workers", "ended/s", "nine empty steps/s", "ratio", "peak MB", "idle MB", "CPU seconds of")


def measure(number: int) -> bool:
    """Print the table, a line as soon as it is known; whether both ratios are kept on each database."""
    print(f"\n{number} disconnections at once (the sandbox is on the same machine; MB per worker)")
    print("  " + " | ".join(HEADS), flush=True)
    kept = [row for kind in ("sqlite", "postgresql") for row in _of(kind, number)]
    return all(kept)


def _of(kind: str, number: int) -> Iterator[bool]:
    """One town per database: all the people anew for one worker, and for two."""
    with measured(kind) as town:
        sandbox = town.sandbox()
        town.web(engine=False)
        town.settle(1)
        with _at_work(town, "first", 1) as (first,):
            (pattern,) = town.connect(town.people[0])
            idle = _memory(first, "VmRSS")
        for workers in (1, 2):
            yield _at_once(kind, town, sandbox, pattern, idle, workers, number)


def _at_once(kind: str, town: Town, sandbox: Child, pattern: str, idle: int, workers: int, number: int) -> bool:
    with town.looking():
        ids = []
        for connection_id, member_id in crowd(pattern, number, name=f"crowd{workers}"):
            begun = disconnect.begin(connection_id, member_id)
            assert begun is not None
            ids.append(begun.id)
            db.session.rollback()
    before = _cpu(sandbox)
    with _at_work(town, f"worker{workers}", workers) as children:
        try:
            until(lambda: not town.unfinished(), "every disconnection ended", within=PATIENCE + number, every=0.5)
        except AssertionError:
            _tell_what_is_left(town, children)
            raise
        spent = f"workers {sum(map(_cpu, children)):.0f}, sandbox {_cpu(sandbox) - before:.0f}"
        peak = max(_memory(child, "VmHWM") for child in children)
    with town.looking():
        rate = number / _disconnecting(ids)
        runs = [new_id() for _ in range(number)]
        for run in runs:
            durable.enqueue(db.session(), NOTHING, run, run)
        db.session.commit()
    with _at_work(town, f"again{workers}", workers), town.looking():
        until(lambda: not _waiting(), "every empty run ended", within=PATIENCE + number, every=0.5)
        ceiling = number / _running(set(runs))
    figures = (f"{rate:.2f}", f"{ceiling:.2f}", f"{rate / ceiling:.2f} (at least {AT_LEAST})", peak, idle, spent)
    print("  " + " | ".join(map(str, (kind, workers, *figures))), flush=True)
    slow, big = rate / ceiling < AT_LEAST, peak > AT_MOST * idle
    if slow or big:
        print(f"  MISSED: {'speed' if slow else f'memory, at most {AT_MOST:g} times idle'}", flush=True)
    return not (slow or big)


def _tell_what_is_left(town: Town, children: list[Child]) -> None:
    """The town is about to go away, and with it every trace of why somebody was left waiting."""
    ours = (DisconnectionStep.name, DisconnectionStep.attempts, DisconnectionStep.outcome, DisconnectionStep.trouble)
    begun = (Disconnection.finished_at.is_(None), DisconnectionStep.started_at.is_not(None))
    print(f"  {len(town.unfinished())} left; their steps that have begun:")
    with town.looking(), reads_only():
        for step in db.session.execute(
            select(*ours, func.count())
            .join(Disconnection, Disconnection.id == DisconnectionStep.disconnection_id)
            .where(*begun)
            .group_by(*ours)
        ):
            print(f"    {tuple(step)}")
        db.session.rollback()
        runs = client().list_workflows(status=ALIVE, load_input=False, load_output=False)
        for at, many in Counter((run.name, run.status, run.executor_id) for run in runs).items():
            print(f"    the engine: {at}: {many}")
    for child in children:
        print(f"    {child.name}, its last words: {child.log.read_text()[-2000:]}", flush=True)


@contextmanager
def _at_work(town: Town, name: str, number: int) -> Iterator[list[Child]]:
    children = [town.worker(f"{name}{each}", planned="worker") for each in range(number)]
    yield children
    for child in children:
        child.terminate()


def _disconnecting(ids: list[str]) -> float:
    """Seconds from the first step that a worker took up to the last end."""
    steps = select(func.min(DisconnectionStep.started_at)).join(
        Disconnection, Disconnection.id == DisconnectionStep.disconnection_id
    )
    since = db.session.scalar(select(func.min(Disconnection.started_at)).where(Disconnection.id.in_(ids[:1])))
    began = db.session.scalar(steps.where(DisconnectionStep.position == 2, Disconnection.started_at >= since))
    ended = db.session.scalar(select(func.max(Disconnection.finished_at)))
    db.session.rollback()
    assert began is not None
    assert ended is not None
    return (ended - began).total_seconds()


def _waiting() -> int:
    return len(client().list_workflows(name=NOTHING, status=ALIVE, load_input=False, load_output=False))


def _running(ids: set[str]) -> float:
    """Seconds from the first run's start to the last one's end, by the engine's own record."""
    runs = client().list_workflows(name=NOTHING, status="SUCCESS", load_input=False, load_output=False)
    ours = [run for run in runs if run.workflow_id in ids]
    assert len(ours) == len(ids), "an empty run broke"
    began, ended = [run.dequeued_at or 0 for run in ours], [run.completed_at or 0 for run in ours]
    return (max(ended) - min(began)) / 1000


def _cpu(child: Child) -> float:
    assert child.process is not None
    times = psutil.Process(child.process.pid).cpu_times()
    return times.user + times.system


def _memory(child: Child, what: str) -> int:
    """Megabytes, as Linux tells them (proc_pid_status(5)): VmRSS now, VmHWM at the most so far."""
    assert child.process is not None
    status = Path(f"/proc/{child.process.pid}/status").read_text()
    return int(status.split(f"{what}:")[1].split()[0]) // 1024

"""Many disconnections at once: how many end per second, and in how much memory, beside the engine's own ceiling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from sqlalchemy import func, select

from portal import durable
from portal.db import db, new_id
from portal.durable.start import client
from portal.models import Disconnection, DisconnectionStep
from portal.workflows import disconnect
from tests.bench.crowd import crowd
from tests.bench.launch import NOTHING
from tests.bench.towns import measured, table
from tests.kill.processes import Child, until
from tests.kill.town import Town


def measure(number: int) -> bool:
    """Print the table; there is no bound to miss, only figures beside each other."""
    heads = ("database", "workers", "ended/s", "nine empty steps/s", "ratio", "peak MB", "idle MB", "CPU seconds of")
    rows = [_of(kind, workers, number) for kind in ("sqlite", "postgresql") for workers in (1, 2)]
    table(f"{number} disconnections at once (the sandbox is on the same machine; MB per worker)", heads, *rows)
    return True


def _of(kind: str, workers: int, number: int) -> tuple[object, ...]:
    with measured(kind) as town:
        sandbox = town.sandbox()
        town.web(engine=False)
        town.settle(1)
        with _at_work(town, "first", 1) as (first,):
            (pattern,) = town.connect(town.people[0])
            idle = _memory(first, "VmRSS")
        with town.looking():
            for connection_id, member_id in crowd(pattern, number):
                assert disconnect.begin(connection_id, member_id) is not None
                db.session.rollback()
        before = _cpu(sandbox)
        with _at_work(town, "worker", workers) as children:
            until(lambda: not town.unfinished(), "every disconnection ended", within=60 + number, every=0.5)
            spent = f"workers {sum(map(_cpu, children)):.0f}, sandbox {_cpu(sandbox) - before:.0f}"
            peak = max(_memory(child, "VmHWM") for child in children)
        with town.looking():
            rate = number / _disconnecting()
            for _ in range(number):
                durable.enqueue(db.session(), NOTHING, new_id())
            db.session.commit()
        with _at_work(town, "again", workers), town.looking():
            until(lambda: _ended(NOTHING) == number, "every empty run ended", within=60 + number, every=0.5)
            ceiling = number / _running(NOTHING)
    return kind, workers, rate, ceiling, rate / ceiling, peak, idle, spent


@contextmanager
def _at_work(town: Town, name: str, number: int) -> Iterator[list[Child]]:
    children = [town.worker(f"{name}{each}", planned="worker") for each in range(number)]
    yield children
    for child in children:
        child.terminate()


def _disconnecting() -> float:
    """Seconds from the first step that a worker took up to the last end."""
    began = db.session.scalar(select(func.min(DisconnectionStep.started_at)).where(DisconnectionStep.position == 2))
    ended = db.session.scalar(select(func.max(Disconnection.finished_at)))
    db.session.rollback()
    assert began is not None
    assert ended is not None
    return (ended - began).total_seconds()


def _ended(name: str) -> int:
    return len(client().list_workflows(name=name, status="SUCCESS", load_input=False, load_output=False))


def _running(name: str) -> float:
    """Seconds from the first run's start to the last one's end, by the engine's own record."""
    runs = client().list_workflows(name=name, load_input=False, load_output=False)
    began, ended = [run.dequeued_at or 0 for run in runs], [run.completed_at or 0 for run in runs]
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

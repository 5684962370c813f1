"""Which processes run durable work, and which of them live: the ground on which runs are taken over.

Each engine process has an identity of its own and shows a sign of life in its row every few seconds. Silence makes it
dead to everybody; on its own machine a missing process is dead at once, which is what a restart on SQLite waits for.
"""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import DateTime, Engine, delete, func, insert, select, update

from portal import clock
from portal.db import reads_only
from portal.models.executor import Executor

HEARTBEAT = 2.0  # seconds between two signs of life
DEAD_AFTER = {"postgresql": timedelta(seconds=20), "sqlite": timedelta(seconds=6)}
"""How long a silent process is given. A wrong verdict costs repeated work, never a wrong outcome.

SQLite is on one machine, so what is silent elsewhere is the container before this one.
"""
STUCK_AFTER = {"postgresql": timedelta(seconds=20), "sqlite": timedelta(seconds=35)}
"""How long one is given that is there on this machine: it hangs, or all are busy. On SQLite a sign of life may wait
for other writers, up to half a minute (`portal.db.engine_options`)."""
FORGET_AFTER = timedelta(days=1)


def me() -> str:
    """The identity of this very process: machine, process number, and when it started (numbers are used again)."""
    return f"{machine()}:{os.getpid()}:{_started(os.getpid())}"


def machine() -> str:
    """Where process numbers mean something to us: this host, since its last boot, in this container."""
    facts = [socket.gethostname()]
    with suppress(OSError):  # not Linux: no containers that share a host's name
        facts += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return f"{facts[0][:24]}~{hashlib.sha256(''.join(facts).encode()).hexdigest()[:12]}"


def beat(engine: Engine, identity: str) -> None:
    """Show a sign of life."""
    with engine.begin() as connection:
        seen = _now(engine)
        if not connection.execute(update(Executor).where(Executor.id == identity).values(seen_at=seen)).rowcount:
            connection.execute(insert(Executor).values(id=identity, seen_at=seen))
        connection.execute(delete(Executor).where(Executor.seen_at < _now(engine) - FORGET_AFTER))


def leave(engine: Engine, identity: str) -> None:
    """Say goodbye: whatever this process still held may be taken over without waiting."""
    with engine.begin() as connection:
        connection.execute(delete(Executor).where(Executor.id == identity))


def living(engine: Engine) -> set[str]:
    """Every process that still runs its durable work, as far as we can tell."""
    here = machine()
    with reads_only(), engine.begin() as connection:
        recently = Executor.seen_at > _now(engine) - DEAD_AFTER[engine.dialect.name]
        heard = select(Executor.id, recently).where(Executor.seen_at > _now(engine) - STUCK_AFTER[engine.dialect.name])
        return {each for each, recent in connection.execute(heard) if _is_there(each, here, elsewhere=recent)}


def _is_there(identity: str, here: str, *, elsewhere: bool) -> bool:
    """Whether the process exists; where its number means nothing to us the answer is `elsewhere`."""
    where, _, rest = identity.partition(":")
    pid, _, started = rest.partition(":")
    return _started(int(pid)) == started if where == here else elsewhere


def _started(pid: int) -> str:
    """When a process started, in a form that only equality may be asked of; empty when there is none (or a zombie).

    Linux counts ticks since boot, which no correction of the clock disturbs: proc_pid_stat(5), fields 3 and 22.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return ""
    try:
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return ""


def _now(engine: Engine) -> Any:
    """The database's clock where several machines share it; our own where there is only one."""
    shared = func.clock_timestamp(type_=DateTime(timezone=True))
    return shared if engine.dialect.name == "postgresql" else clock.now()

"""Who waits for a lock that another thread of the play holds: asked of PostgreSQL, arranged for SQLite.

PostgreSQL says who blocks whom. SQLite has one write lock and no such question (whoever runs into it tries again until
a time-out), so that here a thread that is about to take it waits in a queue of ours while another one holds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

import psycopg
from sqlalchemy import Engine, event

import portal.db
from tests.race.turns import Turns

BLOCKED = """
WITH RECURSIVE waits(who, pid) AS (
    SELECT pid, pid FROM unnest(%(moving)s::int[]) AS pid
    UNION
    SELECT waits.who, blocker FROM waits, unnest(pg_blocking_pids(waits.pid)) AS blocker
)
SELECT DISTINCT who FROM waits WHERE pid <> who AND pid = ANY(%(all)s::int[])
"""
"""Through others too: a delivery of Microsoft's, which is no actor, may stand in the queue between two actors."""


class Locks(Protocol):
    """What a play needs to know of its database."""

    def follow(self, turns: Turns | None) -> None:
        """From now on this play is at hand; None: no play is."""
        ...

    def locked(self, moving: set[str]) -> set[str]:
        """Those of the moving actors that wait for another actor's lock. Called while nobody can pass a point."""
        ...

    def watching(self, engine: Engine) -> AbstractContextManager[None]:
        """Within this block the locks of this engine's connections are known."""
        ...


class PostgresLocks:
    """Remembers which server process works for whom."""

    def __init__(self, url: str) -> None:
        self.turns: Turns | None = None
        self._monitor = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self._processes: dict[int, str] = {}

    def follow(self, turns: Turns | None) -> None:
        self.turns = turns
        self._processes.clear()

    def locked(self, moving: set[str]) -> set[str]:
        known = dict(self._processes)
        asked = {"moving": [pid for pid, name in known.items() if name in moving], "all": list(known)}
        return {known[pid] for (pid,) in self._monitor.execute(BLOCKED, asked)}

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[None]:
        """Within this block its connections are known."""

        def out(connection: Any, record: Any, _proxy: Any) -> None:
            name = self.turns.here() if self.turns is not None else ""
            if name:
                record.info["process"] = connection.info.backend_pid
                self._processes[connection.info.backend_pid] = name

        def back(_connection: Any, record: Any) -> None:
            self._processes.pop(record.info.pop("process", 0), None)

        event.listen(engine, "checkout", out)
        event.listen(engine, "checkin", back)
        try:
            yield
        finally:
            event.remove(engine, "checkin", back)
            event.remove(engine, "checkout", out)
            self._monitor.close()


class SqliteLocks:
    """The one write lock, as the actors take it."""

    def __init__(self) -> None:
        self.turns: Turns | None = None
        self._holder = ""
        self._queue: list[str] = []

    def follow(self, turns: Turns | None) -> None:
        self.turns, self._holder, self._queue = turns, "", []

    def locked(self, moving: set[str]) -> set[str]:
        return moving & set(self._queue)

    def _take(self, turns: Turns, name: str) -> None:
        with turns.changed:
            self._queue.append(name)
            turns.changed.notify_all()
            while self._holder or self._queue[0] != name:
                turns.changed.wait()
            self._queue.pop(0)
            self._holder = name

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[None]:
        """Within this block actors queue for it."""

        def out(_connection: Any, record: Any, _proxy: Any) -> None:  # its transaction is about to begin
            turns = self.turns
            name = turns.here() if turns is not None else ""
            if turns is not None and name and name != self._holder and not portal.db._reads_only.get():
                self._take(turns, name)
                record.info["holds the lock in"] = turns

        def back(_connection: Any, record: Any) -> None:
            turns: Turns | None = record.info.pop("holds the lock in", None)
            if turns is not None:
                with turns.changed:
                    self._holder = ""
                    turns.changed.notify_all()

        event.listen(engine, "checkout", out)
        event.listen(engine, "checkin", back)
        try:
            yield
        finally:
            event.remove(engine, "checkin", back)
            event.remove(engine, "checkout", out)

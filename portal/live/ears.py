"""How a process hears what others tell: LISTEN on PostgreSQL, one watcher on SQLite. Each is one thread per process."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial

import psycopg

from portal.live import CHANNEL, Event
from portal.live.hub import Hub

logger = logging.getLogger("portal.live")

LOOK_EVERY = 0.05  # seconds; one cheap pragma per process, however many pages are open
TRY_AGAIN = 1.0  # seconds


def for_database(url: str) -> Callable[[Hub], None]:
    """The ear that suits a database."""
    if url.startswith("sqlite:///"):
        return partial(_keep_listening, partial(_watch_sqlite, url.removeprefix("sqlite:///")))
    return partial(_keep_listening, partial(_listen_postgres, url.replace("+psycopg", "", 1)))


def _keep_listening(listen: Callable[[Hub], None], hub: Hub) -> None:
    """Begin again after every failure; whatever was missed meanwhile, pages look at again."""
    while not hub.ending.is_set():
        try:
            listen(hub)
        except (sqlite3.Error, psycopg.Error) as error:
            logger.warning("live events are interrupted: %s", type(error).__name__)
            hub.ending.wait(TRY_AGAIN)


def _watch_sqlite(path: str, hub: Hub) -> None:
    """`data_version` changes when another connection has committed: only then is the table read.

    https://www.sqlite.org/pragma.html#pragma_data_version
    """
    with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
        version = connection.execute("PRAGMA data_version").fetchone()
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM live_events").fetchone()
        hub.look_again()
        while not hub.ending.wait(LOOK_EVERY):
            now = connection.execute("PRAGMA data_version").fetchone()
            if now == version:
                continue
            version = now
            news = connection.execute('SELECT id, "to", what, data FROM live_events WHERE id > ? ORDER BY id', (last,))
            for row_id, to, what, data in news.fetchall():
                last = row_id
                hub.publish(Event(to, what, data))


def _listen_postgres(dsn: str, hub: Hub) -> None:
    """https://www.postgresql.org/docs/current/sql-notify.html"""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"LISTEN {CHANNEL}")
        hub.look_again()
        while not hub.ending.is_set():
            for notice in connection.notifies(timeout=1.0):
                to, what, data = json.loads(notice.payload)
                hub.publish(Event(to, what, data))
                if hub.ending.is_set():
                    return

"""Rewrite the key table so that nothing deleted remains in the database's files.

SQLite: VACUUM, then a checkpoint that truncates the write-ahead log; `secure_delete` alone leaves bytes behind when
pages are balanced. PostgreSQL: VACUUM FULL; what its write-ahead log still holds goes when segments are recycled and
written over. https://www.sqlite.org/lang_vacuum.html, https://www.postgresql.org/docs/current/sql-vacuum.html
"""

from __future__ import annotations

import logging
import re
import sqlite3
import threading
import time
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from portal.keyring.table import WAITS, data_keys, says_lost

logger = logging.getLogger("portal.keyring")

TRIES, BETWEEN = 5, 0.3  # how often, and after how many seconds, to try again while a reader holds old rows
PATIENCE = 5  # seconds that one try waits for a lock: everybody else queues up behind it


class Scourer:
    """Rewrites the table. Many who ask at once share one rewriting: any that begins after the asking serves."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._asked = self._served = 0
        self._clean = False

    def scour(self) -> bool:
        """True when nothing deleted is left in the files; False when a reader held on to it all the time."""
        with self._counting:
            self._asked += 1
            mine = self._asked
        with self._lock:
            if self._served < mine:
                self._served = self._asked
                self._clean = self._rewrite()
            return self._clean

    def _rewrite(self) -> bool:
        once = _sqlite if self._engine.dialect.name == "sqlite" else _postgres
        for attempt in range(TRIES):
            if attempt:
                time.sleep(BETWEEN)
            try:
                if once(self._engine):
                    return True
            except (SQLAlchemyError, sqlite3.Error, OSError) as error:
                if isinstance(error, DBAPIError) and says_lost(error):
                    return True
                logger.warning("the key database could not be rewritten: %s", type(error).__name__)
        logger.error("the key database could not be rewritten: somebody holds it all the time")
        return False


def _sqlite(engine: Engine) -> bool:
    borrowed = engine.raw_connection()
    try:
        raw: Any = borrowed.driver_connection
        (patience,) = raw.execute("PRAGMA busy_timeout").fetchone()
        raw.execute(f"PRAGMA busy_timeout = {min(patience, PATIENCE * 1000)}")
        try:
            raw.execute("PRAGMA temp_store = MEMORY")  # else VACUUM writes the keys that stay to a file in /tmp
            raw.execute("VACUUM")
            return bool(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)
        finally:
            raw.execute(f"PRAGMA busy_timeout = {patience}")
    finally:
        borrowed.close()


def _postgres(engine: Engine) -> bool:
    """VACUUM FULL copies dead rows too while an old snapshot may see them; its own account says how many."""
    kept: list[int] = []

    def note(diagnostic: Any) -> None:
        kept.extend(int(number) for number in re.findall(r"\d+", diagnostic.message_detail or "")[:1])

    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        raw: Any = connection.connection.driver_connection
        connection.execute(text(f"SET lock_timeout = '{PATIENCE}s'"))
        raw.add_notice_handler(note)
        try:
            connection.execute(text(f"VACUUM (FULL, VERBOSE) {data_keys.name}"))
        finally:
            raw.remove_notice_handler(note)
            connection.execute(text(f"SET lock_timeout = '{WAITS}s'"))
    return not any(kept)

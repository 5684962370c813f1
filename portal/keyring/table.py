"""The one table of the key database, and what "lost" means.

A key database that was lost (file deleted, database emptied, table missing) reads as an empty one. One that does not
answer, is locked, unreadable or damaged is away (`KeysAway`): it may come back, and nobody should be asked to reconnect
because of an outage.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Row,
    String,
    Table,
    event,
    inspect,
    select,
)
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal.db import reads_only

logger = logging.getLogger("portal.keyring")
T = TypeVar("T")
AT_ONCE = 200  # rows read in one transaction
ITSELF = "this database"  # owner of the row that holds no key, but the id of this key database (`identity.py`)
WAITS = 10  # seconds for which PostgreSQL lets us wait for a lock: a caller may hold a transaction elsewhere meanwhile

metadata = MetaData()
data_keys = Table(
    "data_keys",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("wrapped_by", String(16), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)


class KeysAway(Exception):
    """The key database does not answer as it should. Nothing is known to be lost: what was being done is done later."""

    sentence = "Coordinoter cannot reach the database of its keys at the moment. That is on our side."


@contextmanager
def telling_away() -> Iterator[None]:
    """Whatever says that the key database is away comes out as KeysAway; the log has what it said."""
    try:
        yield
    except (DBAPIError, DisconnectionError, PoolTimeout, OSError) as error:
        if isinstance(error, DBAPIError) and (isinstance(error, IntegrityError) or says_lost(error)):
            raise
        logger.error("the key database does not answer: %s", getattr(error, "orig", None) or error)
        raise KeysAway(type(error).__name__) from None


def create(engine: Engine) -> None:
    """Make the table if it is missing. Raises KeysAway."""
    with telling_away():
        try:
            metadata.create_all(engine)
        except DBAPIError:  # another process may have made it at the same moment
            if not inspect(engine).has_table(data_keys.name):
                raise


def says_lost(error: DBAPIError) -> bool:
    """Whether the key database answered that it has no such table (and not: whether it has one by now)."""
    undefined_table = "42P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    return getattr(error.orig, "sqlstate", None) == undefined_table or "no such table" in str(error.orig)


def read(engine: Engine, ask: Callable[[Connection], T], if_lost: T) -> T:
    """One short reading transaction, which takes no lock that a writer would wait for. Raises KeysAway."""
    try:
        with telling_away(), reads_only(), engine.begin() as connection:
            return ask(connection)
    except DBAPIError as error:
        if says_lost(error):
            return if_lost
        raise


def write(engine: Engine, statement: Any) -> bool:
    """One statement in a transaction of its own; whether it touched a row.

    Raises KeysAway, and DBAPIError when the table was lost or already holds such a row.
    """
    with telling_away(), reads_only(False), engine.begin() as connection:
        return bool(connection.execute(statement).rowcount)


def rows(engine: Engine, *only: Any) -> Iterator[Row[Any]]:
    """All keys, or those that match; a few at a time, each few in a transaction of its own."""
    found: Sequence[Row[Any]] = _some(engine, "", only)
    while found:
        yield from found
        found = _some(engine, found[-1].owner, only)


def _some(engine: Engine, after: str, only: tuple[Any, ...]) -> Sequence[Row[Any]]:
    keys = select(data_keys).where(data_keys.c.owner > after, data_keys.c.owner != ITSELF, *only)
    asked = keys.order_by(data_keys.c.owner).limit(AT_ONCE)
    none: Sequence[Row[Any]] = ()
    return read(engine, lambda connection: connection.execute(asked).all(), none)


def limit_waiting(engine: Engine) -> None:
    """Let nobody wait for ever for a lock that somebody holds on the table (SQLite has its busy timeout)."""
    if engine.dialect.name != "postgresql":
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = '{WAITS}s'")
        connection.commit()


def notice_a_deleted_file(engine: Engine) -> None:
    """Let connections to a SQLite file that was deleted or replaced count as broken: else its ghost would live on."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path:
        return

    @event.listens_for(engine, "connect")
    def _connect(_connection: Any, record: Any) -> None:
        record.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def _checkout(_connection: Any, record: Any, _proxy: Any) -> None:
        if record.info.get("file") != _identity(path):
            raise DisconnectionError("the database file was replaced")


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino

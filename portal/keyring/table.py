"""The one table of the key database, and what "lost" means.

A key database that was lost (file deleted, database emptied, table missing) reads as an empty one. One that does not
answer, or is damaged, is an error: it may come back, and nobody should be asked to reconnect because of an outage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
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
from sqlalchemy.exc import DBAPIError, DisconnectionError

from portal.db import reads_only

T = TypeVar("T")
AT_ONCE = 200  # rows read in one transaction

metadata = MetaData()
data_keys = Table(
    "data_keys",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("wrapped_by", String(16), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)


def create(engine: Engine) -> None:
    """Make the table if it is missing."""
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
    """One short reading transaction, which takes no lock that a writer would wait for."""
    try:
        with reads_only(), engine.begin() as connection:
            return ask(connection)
    except DBAPIError as error:
        if says_lost(error):
            return if_lost
        raise


def write(engine: Engine, statement: Any) -> bool:
    """One statement in a transaction of its own; whether it touched a row. Raises DBAPIError, also when lost."""
    with reads_only(False), engine.begin() as connection:
        return bool(connection.execute(statement).rowcount)


def rows(engine: Engine, *only: Any) -> Iterator[Row[Any]]:
    """All rows, or those that match; a few at a time, each few in a transaction of its own."""
    found: Sequence[Row[Any]] = _some(engine, "", only)
    while found:
        yield from found
        found = _some(engine, found[-1].owner, only)


def _some(engine: Engine, after: str, only: tuple[Any, ...]) -> Sequence[Row[Any]]:
    asked = select(data_keys).where(data_keys.c.owner > after, *only).order_by(data_keys.c.owner).limit(AT_ONCE)
    none: Sequence[Row[Any]] = ()
    return read(engine, lambda connection: connection.execute(asked).all(), none)


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

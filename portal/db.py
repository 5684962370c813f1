"""The database handle, the base class of every table, and the column types they share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import DateTime, Engine, MetaData, TypeDecorator, create_engine, event
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """Base of every table. Constraint names are fixed so that migrations can name them on every database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in time: stored in UTC, always read back with its zone (SQLite would drop it)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def new_id() -> str:
    """A random identifier for a row: 32 hexadecimal digits, unguessable."""
    return uuid.uuid4().hex


db = SQLAlchemy(model_class=Base)

_reads_only: ContextVar[bool] = ContextVar("reads_only", default=False)


@contextmanager
def reads_only(on: bool = True) -> Iterator[None]:
    """Within this block SQLite transactions begin without the write lock: for pages that only look."""
    token = _reads_only.set(on)
    try:
        yield
    finally:
        _reads_only.reset(token)


def engine_options(url: str) -> dict[str, Any]:
    """Pool options that suit the database behind `url`. Timeouts are in seconds.

    Errors do not quote what was to be stored: their texts end in logs, and titles of events do not belong there.
    """
    options: dict[str, Any] = {"pool_size": 20, "max_overflow": 30, "pool_timeout": 30, "hide_parameters": True}
    if url.startswith("sqlite"):
        return options | {"connect_args": {"timeout": 30}}
    noticing = {"connect_timeout": 10, "keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
    return options | {"pool_pre_ping": True, "connect_args": noticing}


def make_engine(url: str, *, for_durable: bool = False) -> Engine:
    """An engine of our own kind, for the key database or for the durable engine (which says BEGIN itself)."""
    engine = create_engine(url, **engine_options(url))
    prepare(engine, begins=not for_durable)
    return engine


def prepare(engine: Engine, *, begins: bool = True) -> None:
    """Give SQLite what we promise: deleted bytes overwritten, foreign keys kept, no surprise lock upgrades.

    And PostgreSQL: a process that froze, or whose machine is gone, must not hold its locks for ever.
    https://www.sqlite.org/pragma.html#pragma_secure_delete
    https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-IDLE-IN-TRANSACTION-SESSION-TIMEOUT
    """
    if engine.dialect.name != "sqlite":
        event.listen(engine, "connect", _limit_idle_transactions)
        return

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        if begins:
            connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            cursor.execute(f"PRAGMA {pragma}")
        if cursor.execute("PRAGMA secure_delete").fetchone()[0] != 1:
            raise RuntimeError("this SQLite cannot overwrite deleted data (secure_delete)")
        cursor.close()

    if not begins:
        return

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A transaction that starts as a reader and then writes can be refused at once ("database is locked") when
        # another writer came in between; taking the write lock first makes it wait its turn instead.
        connection.exec_driver_sql("BEGIN" if _reads_only.get() else "BEGIN IMMEDIATE")


def _limit_idle_transactions(connection: Any, _record: Any) -> None:
    connection.execute("SET idle_in_transaction_session_timeout = '20s'")
    connection.commit()

"""Where limits are counted: in the database, so that all processes and machines count together.

The moving window of https://limits.readthedocs.io/en/stable/custom-storage.html: one row per limited thing and caller,
locked while it is looked at, so that many at the same time are counted one after the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from limits.storage import MovingWindowSupport, Storage
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from portal import clock
from portal.db import db, reads_only
from portal.models import LimitWindow


class DatabaseStorage(Storage, MovingWindowSupport):
    """Counts in `limit_windows`, each count in a transaction of its own: what the request left open is rolled back."""

    STORAGE_SCHEME = ["portal-database"]

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **_: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)

    @property
    def base_exceptions(self) -> type[Exception]:
        """What can go wrong in here."""
        return SQLAlchemyError

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count, unless that would be more than `limit` within `expiry` seconds."""
        with _own_row(key) as row:
            now = clock.now().timestamp()
            recent = _recent(row.hits, now - expiry)
            if len(recent) + amount > limit:
                return False
            row.hits = [now] * amount + recent
            row.until = datetime.fromtimestamp(now + expiry, UTC)
            db.session.commit()
            return True

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """When the window began, and how many there are in it."""
        now = clock.now().timestamp()
        recent = _recent(_hits(key), now - expiry)
        return (recent[-1], len(recent)) if recent else (now, 0)

    def clear(self, key: str) -> None:
        """Forget what was counted."""
        with _own_transaction():
            db.session.execute(delete(LimitWindow).where(LimitWindow.key == _hash(key)))
            db.session.commit()

    def reset(self) -> int | None:
        """Forget everything."""
        with _own_transaction():
            gone = db.session.execute(delete(LimitWindow)).rowcount  # type: ignore[attr-defined]
            db.session.commit()
            return int(gone)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count without a limit; returns how many there are now."""
        self.acquire_entry(key, 2**31, expiry, amount)
        return self.get(key)

    def get(self, key: str) -> int:
        """How many are kept."""
        return len(_hits(key))

    def get_expiry(self, key: str) -> float:
        """When the window ends, in seconds since 1970."""
        row = db.session.get(LimitWindow, _hash(key))
        return row.until.timestamp() if row else clock.now().timestamp()

    def check(self) -> bool:
        """Whether the database answers."""
        _hits("")
        return True


def _hits(key: str) -> list[float]:
    with reads_only(), _own_transaction():
        return db.session.scalar(select(LimitWindow.hits).where(LimitWindow.key == _hash(key))) or []


@contextmanager
def _own_row(key: str) -> Iterator[LimitWindow]:
    """The row of a key, made if need be and locked."""
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    with _own_transaction():
        new = dialect.insert(LimitWindow).values(key=_hash(key), hits=[], until=clock.now())
        db.session.execute(new.on_conflict_do_nothing())
        locked = select(LimitWindow).where(LimitWindow.key == _hash(key)).with_for_update()
        yield db.session.scalars(locked.execution_options(populate_existing=True)).one()


@contextmanager
def _own_transaction() -> Iterator[None]:
    db.session.rollback()
    try:
        yield
    finally:
        db.session.rollback()


def _recent(hits: list[float], since: float) -> list[float]:
    return [each for each in hits if each > since]


def _hash(key: str) -> str:
    """Keys name addresses of people and machines: what is stored does not."""
    secret = str(current_app.config["SECRET_KEY"]).encode()
    return hmac.digest(secret, f"limit:{key}".encode(), hashlib.sha256).hex()

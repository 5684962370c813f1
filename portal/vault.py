"""Seal and open secrets: envelope encryption with one data key per connection.

A secret is sealed with AES-256-GCM under a data key that belongs to one connection; the data key is itself wrapped by
the portal's key (`PORTAL_TOKEN_KEYS`, several for rotation). Data keys live in a small database of their own, left out
of back-ups: destroying one makes every copy of that connection's secrets unreadable, in old back-ups and write-ahead
logs of the main database too. AES-GCM and its nonce rules: NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import hashlib
import os
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    Column,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    text,
)
from sqlalchemy import update as sql_update
from sqlalchemy.exc import IntegrityError

from portal import clock
from portal.db import make_engine

PREFIX = "cns1."
"""Every sealed text starts with this, so that `flask residue` can find them in raw bytes."""

metadata = MetaData()
data_keys = Table(
    "data_keys",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("wrapped_by", String(16), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)


class CannotOpen(Exception):
    """The sealed text cannot be opened: tampered with, sealed for another purpose, or its key is gone."""


class Vault:
    """The keeper of data keys. One per process; opening reads the key afresh each time, so a destroyed key is gone."""

    def __init__(self, keys_url: str, token_keys: tuple[bytes, ...]) -> None:
        self.engine: Engine = make_engine(keys_url)
        self._wrapping = {key_id(key): AESGCM(key) for key in token_keys}
        self._current = key_id(token_keys[0])

    def create_table(self) -> None:
        """Make the one table of the key database, if it is missing."""
        metadata.create_all(self.engine)

    def seal(self, owner: str, purpose: str, secret: str) -> str:
        """Seal `secret` for one owner (a connection's id) and one purpose; the text may be stored anywhere."""
        nonce = os.urandom(12)
        sealed = AESGCM(self._data_key(owner, make=True)).encrypt(nonce, secret.encode(), _bound(owner, purpose))
        return PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()

    def open(self, owner: str, purpose: str, sealed: str) -> str:
        """The secret again. Raises CannotOpen, never anything else, for text that cannot be opened."""
        try:
            raw = base64.urlsafe_b64decode(sealed.removeprefix(PREFIX))
            return AESGCM(self._data_key(owner)).decrypt(raw[:12], raw[12:], _bound(owner, purpose)).decode()
        except (InvalidTag, ValueError, UnicodeDecodeError):
            raise CannotOpen(f"the sealed {purpose} cannot be opened") from None

    def destroy(self, owner: str) -> bool:
        """Destroy an owner's data key: everything sealed under it is unreadable from now on, wherever it lies."""
        with self.engine.begin() as connection:
            return bool(connection.execute(delete(data_keys).where(data_keys.c.owner == owner)).rowcount)

    def has_key(self, owner: str) -> bool:
        """Whether a data key of this owner exists."""
        with self.engine.begin() as connection:
            return connection.scalar(select(func.count()).where(data_keys.c.owner == owner)) == 1

    def owners(self, *, made_before: datetime | None = None) -> set[str]:
        """Everyone who has a data key, or one made before a moment."""
        asked = select(data_keys.c.owner)
        if made_before is not None:
            asked = asked.where(data_keys.c.created_at < made_before)
        with self.engine.begin() as connection:
            return set(connection.scalars(asked))

    def rotate(self) -> int:
        """Wrap every data key again with the first portal key; returns how many were. Safe while the portal runs."""
        count = 0
        with self.engine.begin() as connection:
            for row in connection.execute(select(data_keys).where(data_keys.c.wrapped_by != self._current)).all():
                key = self._unwrap(row.owner, row.wrapped, row.wrapped_by)
                wrapped = self._wrap(row.owner, key)
                connection.execute(
                    sql_update(data_keys)
                    .where(data_keys.c.owner == row.owner)
                    .values(wrapped=wrapped, wrapped_by=self._current)
                )
                count += 1
        return count

    def scour(self) -> bool:
        """Rewrite the small key database so that no destroyed key remains in its files; False when a reader held it.

        https://www.sqlite.org/lang_vacuum.html, https://www.postgresql.org/docs/current/sql-vacuum.html
        """
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if self.engine.dialect.name != "sqlite":
                connection.execute(text("VACUUM FULL data_keys"))
                return True
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("VACUUM")
            return bool(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0)

    def _data_key(self, owner: str, *, make: bool = False) -> bytes:
        with self.engine.begin() as connection:
            row = connection.execute(select(data_keys).where(data_keys.c.owner == owner)).one_or_none()
        if row is not None:
            return self._unwrap(row.owner, row.wrapped, row.wrapped_by)
        if not make:
            raise CannotOpen("the data key is gone")
        key = AESGCM.generate_key(256)
        try:
            with self.engine.begin() as connection:
                connection.execute(
                    insert(data_keys).values(
                        owner=owner, wrapped=self._wrap(owner, key), wrapped_by=self._current, created_at=clock.now()
                    )
                )
        except IntegrityError:  # another thread made it first: use theirs
            return self._data_key(owner)
        return key

    def _wrap(self, owner: str, key: bytes) -> bytes:
        nonce = os.urandom(12)
        return nonce + self._wrapping[self._current].encrypt(nonce, key, _bound(owner, "data-key"))

    def _unwrap(self, owner: str, wrapped: bytes, wrapped_by: str) -> bytes:
        wrapping = self._wrapping.get(wrapped_by)
        if wrapping is None:
            raise CannotOpen("the data key is wrapped by a portal key that is not configured")
        try:
            return wrapping.decrypt(wrapped[:12], wrapped[12:], _bound(owner, "data-key"))
        except InvalidTag:
            raise CannotOpen("the data key cannot be unwrapped") from None


def key_id(key: bytes) -> str:
    """A short public name of a key (first 16 hexadecimal digits of its SHA-256), so that rows can say which."""
    return hashlib.sha256(key).hexdigest()[:16]


def _bound(owner: str, purpose: str) -> bytes:
    return f"coordinoter:{owner}:{purpose}".encode()

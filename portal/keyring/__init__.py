"""The data keys, one of 32 random bytes per owner, in a small database of their own: made, wrapped anew, destroyed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, Row, delete, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import clock
from portal.db import make_engine
from portal.keyring import identity, rotate, table
from portal.keyring.rotate import Wraps, replacing
from portal.keyring.scour import Scourer
from portal.keyring.table import ITSELF, KeysAway, data_keys
from portal.keyring.wrapping import CannotOpen, PortalKeys

__all__ = ["Keyring", "KeysAway"]

logger = logging.getLogger("portal.keyring")


class Keyring:
    """The keeper of data keys. One per process; each use reads the key afresh, so a destroyed key is gone at once.

    Every use may raise KeysAway, which is no loss.
    """

    def __init__(self, keys_url: str, token_keys: tuple[bytes, ...]) -> None:
        self.engine: Engine = make_engine(keys_url)
        table.notice_a_deleted_file(self.engine)
        table.limit_waiting(self.engine)
        self.portal_keys = PortalKeys(token_keys)
        self._scourer = Scourer(self.engine)

    def create_table(self) -> None:
        """Make the one table of the key database, if it is missing."""
        table.create(self.engine)

    def get(self, owner: str) -> bytes:
        """An owner's data key. Raises CannotOpen when there is none, or none that can be unwrapped."""
        row = self._row(owner)
        if row is None:
            raise CannotOpen("the data key is gone")
        return self.portal_keys.unwrap(row.owner, row.wrapped, row.wrapped_by)

    def get_or_make(self, owner: str) -> bytes:
        """An owner's data key, made if there is none. One that cannot be unwrapped is of no use, and is replaced."""
        while True:
            row = self._row(owner)
            if row is None:
                key = self._make(owner)
            else:
                try:
                    return self.portal_keys.unwrap(row.owner, row.wrapped, row.wrapped_by)
                except CannotOpen as error:
                    logger.error("the data key of %s is replaced by a new one: %s", owner, error)
                    key = self._replace(row)
            if key is not None:
                return key  # else somebody else was quicker: use theirs

    def destroy(self, owner: str) -> bool:
        """Destroy an owner's data key, in the files too: what is sealed under it is unreadable, wherever it lies.

        True when there was one. To be repeated after a kill, since only the end of it means that the files are clean.
        """
        gone = False
        try:
            gone = table.write(self.engine, delete(data_keys).where(data_keys.c.owner == owner))
        except DBAPIError as error:
            if not table.says_lost(error):
                raise
        self.scour()
        return gone

    def has_key(self, owner: str) -> bool:
        """Whether a data key of this owner exists."""
        return self._row(owner) is not None

    def held_in(self, owner: str) -> str | None:
        """The id of the key database in which the data key of this owner lies; None when there is no such key."""
        return identity.held_in(self.engine, owner)

    def missing_from(self, owner: str) -> str | None:
        """The id of the key database that answers and holds no key of this owner; None when it holds one, or has no id.

        Asked by one statement: an id that was asked for apart may be another database's.
        """
        return identity.missing_from(self.engine, owner)

    def database_id(self) -> str | None:
        """The id of the key database that answers; None when it has no table for keys."""
        return identity.database_id(self.engine)

    def owners(self, *, made_before: datetime | None = None) -> set[str]:
        """Everyone who has a data key, or one made before a moment."""
        asked = select(data_keys.c.owner).where(data_keys.c.owner != ITSELF)
        if made_before is not None:
            asked = asked.where(data_keys.c.created_at < made_before)
        return table.read(self.engine, lambda connection: set(connection.scalars(asked)), set())

    def opened(self) -> Iterator[tuple[str, bytes]]:
        """Owner and data key of each key that can be unwrapped. For `flask residue` alone."""
        for row in table.rows(self.engine):
            try:
                yield row.owner, self.portal_keys.unwrap(row.owner, row.wrapped, row.wrapped_by)
            except CannotOpen:
                continue

    def rotate(self) -> int:
        """Wrap every data key with the first of the portal's keys, while the portal runs; returns how many were.

        Afterwards the files are rewritten: no old wrapping is left in them for whoever holds an old portal key.
        """
        count = rotate.rotate(self.engine, self.portal_keys)
        if count:
            self.scour()
        return count

    def census(self) -> list[Wraps]:
        """What each of the portal's keys wraps."""
        return rotate.census(self.engine, self.portal_keys)

    def scour(self) -> bool:
        """Rewrite the key database so that no destroyed key remains in its files; False when somebody held it."""
        return self._scourer.scour()

    def _row(self, owner: str) -> Row[Any] | None:
        asked = select(data_keys).where(data_keys.c.owner == owner)
        return table.read(self.engine, lambda connection: connection.execute(asked).one_or_none(), None)

    def _make(self, owner: str) -> bytes | None:
        key = AESGCM.generate_key(256)
        values = {"wrapped": self.portal_keys.wrap(owner, key), "wrapped_by": self.portal_keys.current}
        try:
            table.write(self.engine, insert(data_keys).values(owner=owner, created_at=clock.now(), **values))
        except IntegrityError:
            return None
        except DBAPIError as error:
            if not table.says_lost(error):
                raise
            logger.critical("the key database was lost or is new; its table is made again")
            table.create(self.engine)
            return None
        return key

    def _replace(self, row: Row[Any]) -> bytes | None:
        key = AESGCM.generate_key(256)
        return key if table.write(self.engine, replacing(row, key, self.portal_keys)) else None

"""Wrap data keys anew while the portal runs, and count what each of the portal's keys wraps."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Row, Update, update

from portal.keyring.table import data_keys, rows, write
from portal.keyring.wrapping import CannotOpen, PortalKeys

logger = logging.getLogger("portal.keyring")


@dataclass(frozen=True)
class Wraps:
    """How many data keys one of the portal's keys wraps, and how many of those cannot be opened."""

    key_id: str
    role: str  # "current", "kept" or "not configured"
    keys: int
    unreadable: int


def rotate(engine: Engine, portal_keys: PortalKeys) -> int:
    """Wrap every data key with the current portal key; returns how many were.

    One short transaction per key, and nothing is written over that changed meanwhile: the portal runs on, and a kill
    loses nothing. Keys that cannot be unwrapped stay as they are; `census` counts them.
    """
    count = 0
    for row in rows(engine, data_keys.c.wrapped_by != portal_keys.current):
        try:
            key = portal_keys.unwrap(row.owner, row.wrapped, row.wrapped_by)
        except CannotOpen as error:
            logger.error("the data key of %s stays as it is: %s", row.owner, error)
            continue
        count += write(engine, replacing(row, key, portal_keys))
    return count


def census(engine: Engine, portal_keys: PortalKeys) -> list[Wraps]:
    """Every portal key that is configured, or that a data key names, and what it wraps; the current one first."""
    found = {name: [0, 0] for name in portal_keys.ids()}
    for row in rows(engine):
        tally = found.setdefault(row.wrapped_by, [0, 0])
        tally[0] += 1
        try:
            portal_keys.unwrap(row.owner, row.wrapped, row.wrapped_by)
        except CannotOpen:
            tally[1] += 1
    return [Wraps(name, portal_keys.role(name), *tally) for name, tally in found.items()]


def replacing(row: Row[Any], key: bytes, portal_keys: PortalKeys) -> Update:
    """The statement that stores `key` in the place of what was read, unless that has changed or gone since."""
    return (
        update(data_keys)
        .where(data_keys.c.owner == row.owner, data_keys.c.wrapped == row.wrapped)
        .values(wrapped=portal_keys.wrap(row.owner, key), wrapped_by=portal_keys.current)
    )

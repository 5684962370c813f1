"""Which key database answers: the one that held a key, or an empty one in its place?

One that was emptied, lost, or left on a volume that is not mounted answers like one that never had the key. So it has
an id, random and no secret, in a row among the keys: whatever empties or loses their table takes the id with it.
"""

from __future__ import annotations

import os

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from portal import clock
from portal.keyring.table import ITSELF, data_keys, read, says_lost, write


def held_in(engine: Engine, owner: str) -> str | None:
    """The id of the key database in which an owner's data key lies, given one if need be; None when there is no key.

    Key and id are read by one statement: another database may answer the next one.
    """
    while True:
        found = _rows(engine, owner)
        if owner not in found:
            return None
        if ITSELF in found:
            return found[ITSELF].hex()
        _make(engine)


def missing_from(engine: Engine, owner: str) -> str | None:
    """The id of the key database that answers and holds no key of this owner; None when it holds one, or has no id."""
    found = _rows(engine, owner)
    return found[ITSELF].hex() if ITSELF in found and owner not in found else None


def database_id(engine: Engine) -> str | None:
    """The id of the key database that answers, given one if need be; None when it has no table for keys."""
    while True:
        found = _rows(engine, ITSELF)
        if found:
            return found[ITSELF].hex()
        if not _make(engine):
            return None


def _rows(engine: Engine, owner: str) -> dict[str, bytes]:
    asked = select(data_keys.c.owner, data_keys.c.wrapped).where(data_keys.c.owner.in_((owner, ITSELF)))
    return read(engine, lambda connection: {row.owner: row.wrapped for row in connection.execute(asked)}, {})


def _make(engine: Engine) -> bool:
    """Give it an id, unless somebody else was quicker; False when there is no table."""
    values = {"owner": ITSELF, "wrapped": os.urandom(16), "wrapped_by": "", "created_at": clock.now()}
    try:
        write(engine, insert(data_keys).values(values))
    except IntegrityError:
        return True
    except DBAPIError as error:
        if not says_lost(error):
            raise
        return False
    return True

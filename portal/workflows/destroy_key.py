"""Destroy the key of a severed connection, and know afterwards whether that was done.

A key database that was emptied, lost, or left on a volume that is not mounted answers like one that never had the key.
Then nothing was destroyed, and the key may come back: a receipt must not say that it is gone. So the database in which
the key was found is noted by its id before the key is destroyed: only where that one answers, and has no such key any
more, was it destroyed, whoever was killed or cut off meanwhile.
"""

from __future__ import annotations

from portal.db import db
from portal.models import Disconnection
from portal.parts import parts

NO_KEY = (
    "We found no key to them, so nothing here opens them; but we cannot say that it was destroyed. Should it turn up, "
    "it is destroyed the same night, and this page says so."
)
ANOTHER = (
    "But another database of our keys answers than the one in which we found the key to your tokens, so that we could "
    "not prove that the key is gone. We look every night, and this page says when it is done."
)


def destroy_key(disconnection_id: str, connection_id: str) -> bool:
    """Destroy it; whether there was one just now. Raises KeysAway."""
    vault = parts().vault
    found_in = vault.held_in(connection_id)
    _note(disconnection_id, found_in)
    return found_in is not None and vault.destroy(connection_id)


def was_destroyed(disconnection_id: str, connection_id: str) -> bool:
    """Whether the very database in which the key was found, at this try or an earlier one, answers and has it no more.

    Raises KeysAway.
    """
    found_in = _found_in(disconnection_id)
    return found_in is not None and parts().vault.missing_from(connection_id) == found_in


def rewrite_files(disconnection_id: str, connection_id: str) -> tuple[bool, bool]:
    """Rewrite the key database: whether the key was destroyed, and whether the files that held it are clean of it.

    The database that held it must answer before and after: else another one was rewritten. Raises KeysAway.
    """
    before = was_destroyed(disconnection_id, connection_id)
    is_clean = parts().vault.scour()
    return before and was_destroyed(disconnection_id, connection_id), is_clean


def was_found(disconnection_id: str) -> bool:
    """Whether any database that answered held the key."""
    return _found_in(disconnection_id) is not None


def _note(disconnection_id: str, found_in: str | None) -> None:
    """Where it was found last, for ever; that it was not, unless it has been."""
    row = db.session.get_one(Disconnection, disconnection_id, populate_existing=True, with_for_update=True)
    if found_in is not None:
        row.key_found, row.key_found_in = True, found_in
    elif row.key_found is None:
        row.key_found = False
    db.session.commit()


def _found_in(disconnection_id: str) -> str | None:
    found_in = db.session.get_one(Disconnection, disconnection_id, populate_existing=True).key_found_in
    db.session.rollback()
    return found_in

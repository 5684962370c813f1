"""Destroy the key of a severed connection, and know afterwards whether there was one.

A key database that was emptied, lost, or left on a volume that is not mounted answers like one that never had the key.
Then nothing was destroyed, and the key may come back: a receipt must not say that it is gone.
"""

from __future__ import annotations

from sqlalchemy import update

from portal.db import db
from portal.models import Disconnection
from portal.parts import parts
from portal.vault import KeysAway

NO_KEY = (
    "We found no key to them, so nothing here opens them; but we cannot say that it was destroyed. Should it turn up, "
    "it is destroyed the same night, and this page says so."
)


def destroy_key(disconnection_id: str, connection_id: str) -> bool:
    """Destroy it; whether there was one just now. Raises KeysAway.

    That it is there is noted before it is destroyed: after a kill between the two nobody could tell any more.
    """
    vault = parts().vault
    there = vault.has_key(connection_id)
    note(disconnection_id, there)
    try:
        gone = vault.destroy(connection_id)
    except KeysAway:
        if there:
            _forget(disconnection_id)  # it may be there still, and the next look may find another database
        raise
    if gone and not there:
        note(disconnection_id, True)
    return gone


def note(disconnection_id: str, found: bool) -> None:
    """That it was found, for ever; that it was not, unless it has been."""
    row = db.session.get_one(Disconnection, disconnection_id, populate_existing=True, with_for_update=True)
    if row.key_found is None or found:
        row.key_found = found
    db.session.commit()


def was_found(disconnection_id: str) -> bool:
    """Whether the key was there to be destroyed, at this try or an earlier one; the short read is over."""
    found = db.session.get_one(Disconnection, disconnection_id, populate_existing=True).key_found
    db.session.rollback()
    return bool(found)


def _forget(disconnection_id: str) -> None:
    db.session.execute(update(Disconnection).where(Disconnection.id == disconnection_id).values(key_found=None))
    db.session.commit()

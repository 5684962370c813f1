"""What is owed: the rows that say that a durable run should be at work for them. The engine asks every few seconds.

A run can be lost where our row is not: an error of ours ended it, somebody cancelled it, the engine's tables were
restored from an older day. What our rows say then counts.
"""

from __future__ import annotations

from sqlalchemy import select

from portal import clock, durable
from portal.db import db
from portal.models import Connection, Disconnection
from portal.models.connection import CONNECTED


@durable.owed("disconnect")
def unfinished_disconnections() -> list[str]:
    """Every disconnection that has begun and not ended."""
    return list(db.session.scalars(select(Disconnection.id).where(Disconnection.finished_at.is_(None))))


@durable.owed("sync")
def wanted_syncs() -> list[str]:
    """Every connection for which a sync is wanted, unless one holds the lease: it looks again before it ends."""
    nobody_at_it = Connection.sync_lease_until.is_(None) | (Connection.sync_lease_until < clock.now())
    wanted = select(Connection.id).where(
        Connection.state == CONNECTED, Connection.sync_wanted_at.is_not(None), nobody_at_it
    )
    return list(db.session.scalars(wanted))

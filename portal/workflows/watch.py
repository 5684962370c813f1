"""The daily watch: does anything exist that belongs to no living connection? Found, repaired, recorded, counted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import delete, select

from portal import clock, durable
from portal.db import db
from portal.models import Connection, Disconnection
from portal.parts import parts
from portal.vault import KeysAway
from portal.workflows import counters, late, traces
from portal.workflows.activity import record
from portal.workflows.destroy_key import destroy_key

logger = logging.getLogger("portal.watch")

STUCK_AFTER = timedelta(hours=1)
"""How long after its deadline an unfinished disconnection is taken for stuck."""


@durable.every("watch", "17 3 * * *")
def watch() -> dict[str, int]:
    """Look everywhere once; returns how much of each kind was repaired (for commands and tests)."""
    found = {"rows": _orphaned_rows(), "runs": _stuck_runs(), "keys": 0, "rewritten": 0}
    late.forget()
    try:
        for _owner in _orphaned_keys():
            found["keys"] += 1
        found["rewritten"] = _owed_rewriting()
    except KeysAway:
        db.session.rollback()
        record("watch:unread", member_id=None, connection_id=None, detail="the key database does not answer")
        db.session.commit()
    counters.add("orphans_repaired", found["rows"] + found["keys"])
    counters.add("runs_restarted", found["runs"])
    counters.add("keys_rewritten_late", found["rewritten"])
    if any(found.values()):
        logger.critical("the watch repaired: %s", found)
    return found


def _orphaned_rows() -> int:
    """Rows of a connection that does not exist, or whose disconnection has ended: then its receipt says what was left.

    Foreign keys should make the first impossible; we look anyway. The second would keep the account from being
    connected again. A column that may name other things as well is asked for the ended ones alone.
    """
    total = 0
    ended = select(Disconnection.connection_id).where(Disconnection.finished_at.is_not(None))
    living = select(Connection.id).where(Connection.id.not_in(ended))
    for table in reversed(traces.tables()):
        for named in traces.columns(table):
            if table is Connection.__table__ and not traces.is_owner(named):
                continue  # a Reconnect that names what it was to mend: it goes by itself (`connect.py`)
            orphaned = named.not_in(living) if traces.is_owner(named) else named.in_(ended)
            ids = list(db.session.scalars(select(named).where(orphaned)))
            for connection_id in set(ids):
                record("watch:orphan", member_id=None, connection_id=connection_id, detail=table.name)
            db.session.execute(delete(table).where(orphaned))
            total += len(ids)
    db.session.commit()
    return total


def _orphaned_keys() -> Iterator[str]:
    """Data keys whose connection does not exist. Young ones are spared: their row may be about to be written.

    Unless a disconnection of theirs has ended: then the key database was away when their key should have gone. Each is
    recorded as soon as it is destroyed: the key database may be away for the next.
    """
    vault = parts().vault
    every, old = vault.owners(), vault.owners(made_before=clock.now() - timedelta(hours=1))
    living = set(db.session.scalars(select(Connection.id)))
    asked = select(Disconnection.connection_id, Disconnection.id, Disconnection.finished_at)
    severing = {row.connection_id: row for row in db.session.execute(asked)}
    db.session.rollback()
    severed = {owner for owner, row in severing.items() if row.finished_at is not None}
    orphans = (old | (every & severed)) - living
    for owner in orphans:
        if owner in severing:
            destroy_key(severing[owner].id, owner)
        else:
            vault.destroy(owner)
        record("watch:orphan", member_id=None, connection_id=owner, detail="data_keys")
        db.session.commit()
        yield owner


def _owed_rewriting() -> int:
    """Disconnections that ended while the key database was away or in use: rewrite it now, and say so.

    Where the key was never found nothing can be made good: it may turn up any night. Nor where another key database
    answers than the one that held it.
    """
    owed = select(Disconnection).where(
        Disconnection.finished_at.is_not(None), Disconnection.keys_rewritten_at.is_(None)
    )
    owners = {row.id: row.connection_id for row in db.session.scalars(owed) if row.key_found is not False}
    db.session.rollback()
    if not owners:
        return 0
    vault = parts().vault
    before = vault.database_id()
    if not vault.scour():
        return 0
    lacking = {each: vault.missing_from(owner) for each, owner in owners.items()}  # the database that says so
    held, rewritten = vault.owners(), 0
    for row in db.session.scalars(owed):
        if row.id not in owners or row.connection_id in held:
            continue
        if not row.key_found:
            row.key_found = False  # the key database was away; now it is there, or another one, and has no such key
        elif row.key_found_in == before == lacking[row.id]:
            row.keys_rewritten_at = clock.now()
            record("watch:keys_rewritten", member_id=row.member_id, connection_id=row.connection_id)
            rewritten += 1
    db.session.commit()
    return rewritten


def _stuck_runs() -> int:
    """Disconnections that should have ended long ago: start their run again (every step may run again)."""
    stuck = list(
        db.session.scalars(
            select(Disconnection).where(
                Disconnection.finished_at.is_(None), Disconnection.deadline_at < clock.now() - STUCK_AFTER
            )
        )
    )
    for row in stuck:
        durable.enqueue(db.session(), "disconnect", row.id)
        record("watch:stuck", member_id=row.member_id, connection_id=row.connection_id)
    db.session.commit()
    return len(stuck)

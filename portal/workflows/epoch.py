"""The guard of every write: is this connection still at the epoch, and in the state, that the work began with?

A disconnection moves state and epoch in its first transaction. Whatever was in flight at that moment finds its next
write refused here, so nothing that belongs to the connection can appear after the fence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from portal.db import db
from portal.models import Connection


class Fenced(Exception):
    """The connection has moved on: what was about to be written must be dropped."""


@contextmanager
def writing(connection_id: str, epoch: int, *states: str) -> Iterator[Connection]:
    """One transaction that holds the connection's row; commits at the end. Raises Fenced when it has moved on.

    The row lock makes this and the fence take turns: on PostgreSQL by FOR UPDATE, on SQLite by BEGIN IMMEDIATE.
    """
    connection = db.session.scalar(
        select(Connection)
        .where(Connection.id == connection_id, Connection.epoch == epoch, Connection.state.in_(states))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if connection is None:
        db.session.rollback()
        raise Fenced(connection_id)
    try:
        yield connection
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise

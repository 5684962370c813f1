"""Bugs to plant: the three that would undo a disconnection. Whoever promises to find them has to turn red."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from sqlalchemy import select, update

import portal.app
import portal.db
from portal.db import db
from portal.models import Connection, Disconnection
from portal.workflows import disconnect, epoch
from portal.workflows.epoch import Fenced

Patch = pytest.MonkeyPatch


def fence_removed(patch: Patch) -> None:
    """Confirming starts the run, but neither state nor epoch moves."""
    honest = disconnect.begin

    def begin(connection_id: str, member_id: str, **more: Any) -> Disconnection | None:
        before = db.session.get(Connection, connection_id)
        was = (before.state, before.epoch) if before else None
        db.session.rollback()
        row = honest(connection_id, member_id, **more)
        if was:
            moved = update(Connection).where(Connection.id == connection_id)
            db.session.execute(moved.values(state=was[0], epoch=was[1]))
            db.session.commit()
        return row

    patch.setattr(disconnect, "begin", begin)


def epoch_not_checked(patch: Patch) -> None:
    """The guard finds the connection, and does not ask whether it has moved on."""
    _guard(patch, states=False)


def epoch_alone_not_checked(patch: Patch) -> None:
    """The guard asks for the state of the connection, and not for its epoch."""
    _guard(patch, states=True)


def _guard(patch: Patch, *, states: bool) -> None:
    @contextmanager
    def writing(connection_id: str, epoch: int, *allowed: str) -> Iterator[Connection]:
        asked = select(Connection).where(Connection.id == connection_id)
        if states:
            asked = asked.where(Connection.state.in_(allowed))
        asked = asked.with_for_update().execution_options(populate_existing=True)
        connection = db.session.scalar(asked)
        if connection is None:
            db.session.rollback()
            raise Fenced(connection_id)
        try:
            yield connection
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise

    _put_in_place_of_the_guard(patch, writing)


def _put_in_place_of_the_guard(patch: Patch, writing: Callable[..., Any]) -> None:
    honest = epoch.writing
    for name, module in list(sys.modules.items()):
        if name.startswith("portal.workflows.") and getattr(module, "writing", None) is honest:
            patch.setattr(module, "writing", writing)


def lock_removed(patch: Patch) -> None:
    """The guard looks, but does not hold what it saw: FOR UPDATE and BEGIN IMMEDIATE are gone."""

    @contextmanager
    def writing(connection_id: str, epoch: int, *states: str) -> Iterator[Connection]:
        asked = select(Connection).where(
            Connection.id == connection_id, Connection.epoch == epoch, Connection.state.in_(states)
        )
        connection = db.session.scalar(asked.execution_options(populate_existing=True))
        if connection is None:
            db.session.rollback()
            raise Fenced(connection_id)
        try:
            yield connection
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise

    _put_in_place_of_the_guard(patch, writing)
    patch.setattr(portal.db, "_reads_only", ContextVar("no_lock", default=True))
    honest = portal.db.engine_options
    # Whoever runs into a lock of SQLite's own tries for a second, not for thirty: the play stands still meanwhile.
    patch.setattr(portal.app, "engine_options", lambda url: honest(url) | _impatient(url))


def _impatient(url: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": 1}} if url.startswith("sqlite") else {}

"""Sync: who wants it, who is at it, and what a vendor's trouble comes to. What is read is kept by `copies.py`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select

from portal import clock, durable
from portal.db import db, new_id
from portal.models import Calendar, Connection
from portal.models.connection import CONNECTED, LEFT_OUT
from portal.providers import base
from portal.vault import CannotOpen, KeysAway
from portal.workflows import copies, counters, push, subscribe, tokens
from portal.workflows.epoch import Fenced, writing

logger = logging.getLogger("portal.sync")
T = TypeVar("T")

LONG = 22  # letters of a name on the card


def want(connection_id: str) -> bool:
    """Ask for a sync, in one transaction of its own. A sync at work looks again before it ends. False if not living."""
    connection = db.session.scalar(
        select(Connection).where(Connection.id == connection_id, Connection.state == CONNECTED).with_for_update()
    )
    if connection is None:
        db.session.rollback()
        return False
    connection.sync_wanted_at = clock.now()
    connection.sync_note = connection.sync_note or "Waiting for its turn"
    durable.enqueue(db.session(), "sync", connection_id)
    copies.tell(connection)
    db.session.commit()
    return True


@durable.every("sync_everyone", "*/5 * * * *")
def sync_everyone() -> None:
    """Every five minutes: notifications can get lost, and calendars of others must stay true all the same."""
    ids = list(db.session.scalars(select(Connection.id).where(Connection.state == CONNECTED)))
    db.session.rollback()
    for connection_id in ids:
        want(connection_id)


@durable.run("sync")
def sync(connection_id: str) -> None:
    """The durable run: one step, since reading again is harmless."""
    durable.step(read_changes, connection_id)


def read_changes(connection_id: str) -> None:
    """Read until nobody wants more. Ends quietly when fenced, and marks the connection when access has ended."""
    lease = new_id()
    while (claimed := _claim(connection_id, lease)) is not None:
        epoch, wanted_at = claimed
        try:
            note = _read_all(connection_id, epoch)
            _finish(connection_id, epoch, lease, wanted_at, note)
        except Fenced:
            return
        except base.AccessEnded as ended:
            tokens.needs_attention(connection_id, epoch, ended.reason)
            return
        except CannotOpen:  # the key went away while we read
            tokens.needs_attention(connection_id, epoch, base.AccessReason.TOKEN_UNREADABLE)
            return
        except KeysAway as away:
            db.session.rollback()
            _give_way(connection_id, epoch, lease, away.sentence)
            return
        except base.ProviderError as error:
            level = logging.CRITICAL if isinstance(error, base.OurFault) else logging.WARNING
            if isinstance(error, base.OurFault):
                counters.add("our_faults")
            logger.log(level, "sync of %s stopped: %s %s", connection_id, type(error).__name__, error.request_id)
            _give_way(connection_id, epoch, lease, error.sentence)
            return


def _claim(connection_id: str, lease: str) -> tuple[int, datetime] | None:
    connection = db.session.scalar(
        select(Connection).where(Connection.id == connection_id, Connection.state == CONNECTED).with_for_update()
    )
    now = clock.now()
    taken = connection is not None and (
        connection.sync_lease not in (None, lease) and (connection.sync_lease_until or now) > now
    )
    if connection is None or taken or connection.sync_wanted_at is None:
        db.session.rollback()
        return None
    connection.sync_lease, connection.sync_lease_until = lease, now + copies.LEASE
    claimed = (connection.epoch, connection.sync_wanted_at)
    db.session.commit()
    return claimed


def _finish(connection_id: str, epoch: int, lease: str, wanted_at: datetime, note: str | None) -> None:
    with writing(connection_id, epoch, CONNECTED) as connection:
        connection.last_sync_at = clock.now()
        if connection.sync_lease == lease:  # else we stood still for so long that another one is at it: theirs counts
            connection.sync_lease = connection.sync_lease_until = None
            connection.sync_note = note
            if connection.sync_wanted_at is not None and connection.sync_wanted_at <= wanted_at:
                connection.sync_wanted_at = None
        copies.tell(connection)


def _give_way(connection_id: str, epoch: int, lease: str, note: str) -> None:
    try:
        with writing(connection_id, epoch, CONNECTED) as connection:
            if connection.sync_lease == lease:
                connection.sync_wanted_at = connection.sync_lease = connection.sync_lease_until = None
                connection.sync_note = note
                copies.tell(connection)
    except Fenced:
        pass


def _read_all(connection_id: str, epoch: int) -> str | None:
    """Everything once; returns what could not be read or written. Raises when no calendar could be read."""
    provider = tokens.provider_of(connection_id)

    def ask(call: Callable[[str], T]) -> T:
        return tokens.with_access(connection_id, epoch, call)

    copies.keep_calendars(connection_id, epoch, ask(provider.calendars))
    subscribe.ensure(connection_id, epoch, provider)
    rows = db.session.execute(
        select(
            Calendar.id,
            Calendar.provider_id,
            Calendar.name,
            Calendar.is_default,
            Calendar.delta_link_sealed,
            Calendar.window_ends_at,
        )
        .where(Calendar.connection_id == connection_id)
        .order_by(Calendar.is_default.desc(), Calendar.name)
    ).all()
    db.session.rollback()
    trouble: list[tuple[str, base.ProviderError]] = []
    for row in rows:
        try:
            copies.read(connection_id, epoch, provider, row)
        except base.AccessEnded as ended:
            if row.is_default or ended.reason is not base.AccessReason.SCOPE_MISSING:
                raise
            trouble.append((row.name, ended))  # somebody else's calendar, shared without the right to read it
        except (base.Rejected, base.Gone, base.Unreachable) as error:
            trouble.append((row.name, error))
    if trouble and len(trouble) == len(rows):
        raise trouble[0][1]
    unwritten = push.write_meetings(connection_id, epoch, provider)
    for _name, each in trouble:
        logger.warning("a calendar of %s was not read: %s %s", connection_id, type(each).__name__, each.request_id)
    return _note([name for name, _each in trouble], unwritten)


def _note(unread: list[str], unwritten: list[str]) -> str | None:
    """What the card says of a sync that left something out; cut short, as it goes into a column of 200 characters."""
    parts = [
        f"{begins}: {_some(names)}."
        for begins, names in ((f"{LEFT_OUT}read", unread), (f"{LEFT_OUT}written", unwritten))
        if names
    ]
    return " ".join(parts)[:200] or None


def _some(names: list[str]) -> str:
    shown = ", ".join(name if len(name) <= LONG else f"{name[: LONG - 1]}…" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"

"""Sync: read what changed in every calendar of a connection, page by page, each page under the guard of the epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import delete, func, select, update

from portal import clock, durable, live
from portal.db import db, new_id
from portal.models import Calendar, Connection, Copy, Placement
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers import base
from portal.vault import CannotOpen, KeysAway
from portal.workflows import counters, push, subscribe, tokens
from portal.workflows.epoch import Fenced, writing

logger = logging.getLogger("portal.sync")
T = TypeVar("T")

PAST, AHEAD = timedelta(days=7), timedelta(days=60)
RENEW_ROUND = timedelta(days=30)  # a new full round starts when less than this of the window is left
LEASE = timedelta(seconds=90)  # renewed with every page; a dead process holds the others back no longer than this
LINK = "delta-link"


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
    _tell(connection)
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
            unread = _read_all(connection_id, epoch)
            _finish(connection_id, epoch, wanted_at, unread)
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
            _give_way(connection_id, epoch, away.sentence)
            return
        except base.ProviderError as error:
            level = logging.CRITICAL if isinstance(error, base.OurFault) else logging.WARNING
            if isinstance(error, base.OurFault):
                counters.add("our_faults")
            logger.log(level, "sync of %s stopped: %s %s", connection_id, type(error).__name__, error.request_id)
            _give_way(connection_id, epoch, error.sentence)
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
    connection.sync_lease, connection.sync_lease_until = lease, now + LEASE
    claimed = (connection.epoch, connection.sync_wanted_at)
    db.session.commit()
    return claimed


def _finish(connection_id: str, epoch: int, wanted_at: datetime, unread: list[str]) -> None:
    with writing(connection_id, epoch, CONNECTED) as connection:
        connection.last_sync_at = clock.now()
        connection.sync_lease = connection.sync_lease_until = None
        connection.sync_note = f"Could not be read: {', '.join(unread)}"[:200] if unread else None
        if connection.sync_wanted_at is not None and connection.sync_wanted_at <= wanted_at:
            connection.sync_wanted_at = None
        _tell(connection)


def _give_way(connection_id: str, epoch: int, note: str) -> None:
    try:
        with writing(connection_id, epoch, CONNECTED) as connection:
            connection.sync_wanted_at = connection.sync_lease = connection.sync_lease_until = None
            connection.sync_note = note
            _tell(connection)
    except Fenced:
        pass


def _read_all(connection_id: str, epoch: int) -> list[str]:
    """Everything once; returns the names of calendars that could not be read. Raises when none could."""
    provider = tokens.provider_of(connection_id)

    def ask(call: Callable[[str], T]) -> T:
        return tokens.with_access(connection_id, epoch, call)

    _keep_calendars(connection_id, epoch, ask(provider.calendars))
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
            _read_one(connection_id, epoch, provider, row)
        except base.AccessEnded as ended:
            if row.is_default or ended.reason is not base.AccessReason.SCOPE_MISSING:
                raise
            trouble.append((row.name, ended))  # somebody else's calendar, shared without the right to read it
        except (base.Rejected, base.Unreachable) as error:
            trouble.append((row.name, error))
    if trouble and len(trouble) == len(rows):
        raise trouble[0][1]
    push.write_meetings(connection_id, epoch, provider)
    for _name, each in trouble:
        logger.warning("a calendar of %s was not read: %s %s", connection_id, type(each).__name__, each.request_id)
    return [name for name, _each in trouble]


def _read_one(connection_id: str, epoch: int, provider: base.Provider, row: Any) -> None:
    """One calendar, from its bookmark where that still helps. One calendar's trouble must not stop the others."""
    link = _open_link(connection_id, row.delta_link_sealed)
    if link is not None and row.window_ends_at is not None and row.window_ends_at > clock.now() + RENEW_ROUND:
        try:
            _read_calendar(connection_id, epoch, provider, row.id, row.name, link)
            return
        except base.LinkSpent:
            pass  # the vendor forgot the bookmark: read everything again, below
        except base.Gone:
            return  # the calendar went away meanwhile; the next look at the list removes it
    _read_calendar(connection_id, epoch, provider, row.id, row.name, None, provider_id=row.provider_id)


def _open_link(connection_id: str, sealed: str | None) -> str | None:
    try:
        return parts().vault.open(connection_id, LINK, sealed) if sealed else None
    except CannotOpen:
        return None  # a full round brings a new one


def _read_calendar(
    connection_id: str,
    epoch: int,
    provider: base.Provider,
    calendar_id: str,
    name: str,
    link: str | None,
    *,
    provider_id: str = "",
) -> None:
    """One round over one calendar: from its bookmark, or in full (then what is not mentioned is removed)."""
    round_id, window_ends = "", clock.now() + AHEAD
    if link is None:
        round_id, starts = new_id(), clock.now() - PAST
        changes = tokens.with_access(
            connection_id, epoch, lambda access: provider.first_changes(access, provider_id, starts, window_ends)
        )
    else:
        changes = _next_page(connection_id, epoch, provider, link)
    while True:
        _keep_page(connection_id, epoch, calendar_id, name, changes, round_id, window_ends)
        if changes.next_link is None:
            return
        changes = _next_page(connection_id, epoch, provider, changes.next_link)


def _next_page(connection_id: str, epoch: int, provider: base.Provider, link: str) -> base.Changes:
    return tokens.with_access(connection_id, epoch, lambda access: provider.next_changes(access, link))


def _keep_calendars(connection_id: str, epoch: int, found: tuple[base.Calendar, ...]) -> None:
    with writing(connection_id, epoch, CONNECTED) as connection:
        known = {
            row.provider_id: row
            for row in db.session.scalars(select(Calendar).where(Calendar.connection_id == connection_id))
        }
        for calendar in found:
            row = known.pop(calendar.id, None) or Calendar(connection_id=connection_id, provider_id=calendar.id)
            row.name, row.is_default, row.can_edit = calendar.name[:255], calendar.is_default, calendar.can_edit
            db.session.add(row)
        for row in known.values():
            if connection.write_calendar_id == row.id:
                connection.write_calendar_id = None
            db.session.execute(delete(Copy).where(Copy.calendar_id == row.id))
            db.session.delete(row)


def _keep_page(
    connection_id: str,
    epoch: int,
    calendar_id: str,
    name: str,
    page: base.Changes,
    round_id: str,
    window_ends: datetime,
) -> None:
    with writing(connection_id, epoch, CONNECTED) as connection:
        ids = [event.id for event in page.events]
        known = {
            row.provider_id: row
            for row in db.session.scalars(
                select(Copy).where(Copy.calendar_id == calendar_id, Copy.provider_id.in_(ids))
            )
        }
        ours = set(db.session.scalars(select(Placement.provider_id).where(Placement.connection_id == connection_id)))
        for event in page.events:
            if event.id in ours:
                continue  # a meeting of ours that we wrote there: it is on the agenda already
            row = known.get(event.id)
            if row is None:
                row = known[event.id] = Copy(connection_id=connection_id, calendar_id=calendar_id, provider_id=event.id)
                db.session.add(row)
            row.subject, row.starts_at, row.ends_at = event.subject[:500], event.starts_at, event.ends_at
            row.is_all_day, row.is_private, row.show_as = event.is_all_day, event.is_private, event.show_as[:20]
            row.round = round_id or row.round or ""
        db.session.execute(delete(Copy).where(Copy.calendar_id == calendar_id, Copy.provider_id.in_(page.removed)))
        if page.delta_link is not None:
            sealed = parts().vault.seal_also(connection_id, LINK, page.delta_link)
            values: dict[str, object] = {"delta_link_sealed": sealed}
            if round_id:
                values["window_ends_at"] = window_ends
                db.session.execute(delete(Copy).where(Copy.calendar_id == calendar_id, Copy.round != round_id))
            db.session.execute(update(Calendar).where(Calendar.id == calendar_id).values(values))
        db.session.flush()
        count = db.session.scalar(select(func.count()).where(Copy.connection_id == connection_id))
        connection.sync_note = f"Reading {name[:100]}: {count} events so far"
        connection.sync_lease_until = clock.now() + LEASE
        _tell(connection)


def _tell(connection: Connection) -> None:
    """Let the member's open pages look at the card again."""
    live.tell(db.session(), live.member(connection.member_id), "live-connections")

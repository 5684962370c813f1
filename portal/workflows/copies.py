"""Copies: what a connection's calendars hold, read round by round, each page kept under the guard of the epoch."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update

from portal import clock, live
from portal.db import db, new_id
from portal.models import Calendar, Connection, Copy, Placement
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers import base
from portal.vault import CannotOpen
from portal.workflows import tokens
from portal.workflows.epoch import writing

PAST, AHEAD = timedelta(days=7), timedelta(days=60)
RENEW_ROUND = timedelta(days=30)  # a new full round starts when less than this of the window is left
LEASE = timedelta(seconds=90)  # renewed with every page; a dead process holds the others back no longer than this
LINK = "delta-link"


def keep_calendars(connection_id: str, epoch: int, found: tuple[base.Calendar, ...]) -> None:
    """Make ours the list that the vendor gave: new ones appear, and those that went take their copies along."""
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


def read(connection_id: str, epoch: int, provider: base.Provider, row: Any) -> None:
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
        tell(connection)


def tell(connection: Connection) -> None:
    """Let the member's open pages look at the card again."""
    live.tell(db.session(), live.member(connection.member_id), "live-connections")

"""Push: write a member's meetings into the calendar they chose, each once, marked as ours and with nobody invited."""

from __future__ import annotations

import logging
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Copy, Disconnection, Meeting, Placement
from portal.models.connection import CONNECTED
from portal.providers.base import Gone, NewEvent, Provider, ProviderError
from portal.workflows import intent, tokens
from portal.workflows.at_once import is_forbidden, is_refusal
from portal.workflows.copies import LEASE
from portal.workflows.epoch import Fenced, writing

logger = logging.getLogger("portal.push")

_SPACE = uuid.UUID("6f1d7e0a-3b52-4c0e-9f0e-5a9c1c0d7e42")


class NotThisCalendar(Exception):
    """The chosen calendar is not one of this connection's that we may write to."""


def choose(connection_id: str, epoch: int, calendar_id: str | None) -> None:
    """Set the calendar that meetings are written into; None writes none from now on. Raises NotThisCalendar, Fenced."""
    with writing(connection_id, epoch, CONNECTED) as connection:
        if calendar_id is not None:
            calendar = db.session.get(Calendar, calendar_id)
            if calendar is None or calendar.connection_id != connection_id or not calendar.can_edit:
                raise NotThisCalendar
        connection.write_calendar_id = calendar_id


def write_meetings(connection_id: str, epoch: int, provider: Provider) -> list[str]:
    """Write every coming meeting of the member that is not there yet. Runs within a sync.

    Returns the titles of those that the vendor refused: one of them must not keep the others, and all that a sync does
    after this, from being done, at every sync anew. Raises AccessEnded when nothing of ours could be written ever: then
    the permission is missing, not a single meeting wrong.
    """
    connection = db.session.get(Connection, connection_id)
    calendar = db.session.get(Calendar, connection.write_calendar_id or "") if connection else None
    if connection is None or calendar is None:
        db.session.rollback()
        return []
    certain = Placement.connection_id == connection_id, Placement.provider_id.is_not(None)
    placed = select(Placement.meeting_id).where(*certain)
    has_written = db.session.scalar(select(Placement.id).where(*certain).limit(1)) is not None
    coming = db.session.scalars(
        select(Meeting).where(
            Meeting.organizer_id == connection.member_id, Meeting.ends_at > clock.now(), Meeting.id.not_in(placed)
        )
    ).all()
    account = f"{connection.account_tenant}:{connection.account_subject}"
    events = {
        meeting.id: NewEvent(
            title=meeting.title,
            place=meeting.place,
            starts_at=meeting.starts_at,
            ends_at=meeting.ends_at,
            mark=meeting.id,
            # Of the account, not of the connection: whoever disconnects, keeps our meetings and connects again, gets
            # the events that are there already.
            transaction_id=str(uuid.uuid5(_SPACE, f"{account}:{meeting.id}")),
        )
        for meeting in coming
    }
    calendar_id = calendar.provider_id
    db.session.rollback()
    refused: list[str] = []
    for meeting_id, event in events.items():
        try:
            _write_one(connection_id, epoch, provider, calendar_id, meeting_id, event)
            has_written = True
        except ProviderError as error:
            is_gone = isinstance(error, Gone)  # the calendar went away; the next look at the list forgets the choice
            if not is_gone and (not is_refusal(error) or (is_forbidden(error) and not has_written)):
                raise
            logger.warning("a meeting for %s was refused: %s", connection_id, error.request_id)
            refused.append(event.title)
            if is_gone:
                break
    return refused


@dataclass(frozen=True)
class _Asked:
    """One call that asks for an event: with which access token, when, and whether it was asked for before."""

    access: str = field(repr=False)
    at: datetime
    is_first: bool


def _write_one(
    connection_id: str, epoch: int, provider: Provider, calendar_id: str, meeting_id: str, event: NewEvent
) -> None:
    asked: list[_Asked] = []

    def write(access: str) -> str:
        # Here, as waiting for an access token may have taken as long as an intent stays open.
        asked.append(_Asked(access, *_intend(connection_id, epoch, meeting_id, calendar_id)))
        return provider.write_event(access, calendar_id, event)

    try:
        event_id = tokens.with_access(connection_id, epoch, write)
    except intent.NOTHING_MADE:
        if asked and asked[0].is_first:  # else an earlier try, whose answer was lost, may have made it
            _withdraw(connection_id, meeting_id, asked[-1].at)
        raise
    try:
        _remember(connection_id, epoch, meeting_id, event_id)
    except Fenced:
        # While it was open, the disconnection found it, waits until it does, or tells that it may be there: what it
        # told stays true. Later the disconnection may have looked too early: then we take it back ourselves.
        if not intent.is_open(asked[-1].at) and _is_nobodys(connection_id, meeting_id, event_id):
            with suppress(ProviderError):
                provider.remove_event(asked[-1].access, event_id)
        raise


def _intend(connection_id: str, epoch: int, meeting_id: str, calendar_id: str) -> tuple[datetime, bool]:
    """Write down what we are about to ask for: when, and whether for the first time. Else an answer is missing."""
    with writing(connection_id, epoch, CONNECTED) as connection:
        now = clock.now()  # in here, as another may have held the connection for a while
        if connection.sync_lease is not None:
            connection.sync_lease_until = now + LEASE  # many meetings take long
        row = db.session.scalar(select(Placement).where(*_of(connection_id, meeting_id)))
        if row is None:
            ids = {"connection_id": connection_id, "meeting_id": meeting_id, "calendar_id": calendar_id}
            db.session.add(Placement(**ids, written_at=now))
            return now, True
        row.written_at, row.calendar_id = now, calendar_id
        return now, False


def _is_nobodys(connection_id: str, meeting_id: str, event_id: str) -> bool:
    """Whether nobody knows of an event, and nobody will look for it; the short read is over.

    A disconnection erases our map. What it has found there by then was told as it is and stays so; a connection that
    was made meanwhile may hold the same event, by its transaction id.
    """
    ours, its = and_(*_of(connection_id, meeting_id)), Placement.provider_id == event_id
    known = db.session.scalar(select(Placement.id).where(or_(ours, its)).limit(1))
    asked = select(Disconnection).where(Disconnection.connection_id == connection_id)
    disconnection = db.session.scalar(asked.execution_options(populate_existing=True))
    missed = disconnection is None or meeting_id in disconnection.sought_in_vain
    db.session.rollback()
    return known is None and missed


def _remember(connection_id: str, epoch: int, meeting_id: str, event_id: str) -> None:
    """A kill before this line costs nothing: writing again brings the same event, by its transaction id."""
    with writing(connection_id, epoch, CONNECTED):
        row = db.session.scalar(select(Placement).where(*_of(connection_id, meeting_id)))
        if row is None:  # somebody else's asking was refused meanwhile, and took the intent back
            row = Placement(connection_id=connection_id, meeting_id=meeting_id)
            db.session.add(row)
        row.provider_id = event_id
        db.session.execute(delete(Copy).where(Copy.connection_id == connection_id, Copy.provider_id == event_id))


def _withdraw(connection_id: str, meeting_id: str, intended_at: datetime) -> None:
    """Nothing came of this intent, unless somebody else asked for the same after us.

    It may be said after the fence too: nothing is written.
    """
    unanswered = and_(Placement.provider_id.is_(None), Placement.written_at == intended_at)
    db.session.execute(delete(Placement).where(*_of(connection_id, meeting_id), unanswered))
    db.session.commit()


def _of(connection_id: str, meeting_id: str) -> tuple[ColumnElement[bool], ...]:
    return Placement.connection_id == connection_id, Placement.meeting_id == meeting_id

"""Count what a connection holds: for the card, and for the question before a disconnection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Copy, Meeting, Placement, Subscription


@dataclass(frozen=True)
class Inventory:
    """What we hold of one connection at this moment."""

    calendars: tuple[str, ...]
    copies: int
    subscriptions: int
    last_sync_at: datetime | None
    meetings: int = 0
    """Meetings of ours that we wrote into one of these calendars."""
    planned: int = 0
    """Coming meetings of the member's; they stay in Coordinoter."""


def take(connection: Connection) -> Inventory:
    """Look it up; reads only."""
    names = db.session.scalars(
        select(Calendar.name)
        .where(Calendar.connection_id == connection.id)
        .order_by(Calendar.is_default.desc(), Calendar.name)
    )
    return Inventory(
        calendars=tuple(names),
        copies=_count(Copy, connection.id),
        subscriptions=_count(Subscription, connection.id),
        last_sync_at=connection.last_sync_at,
        meetings=_count(Placement, connection.id),
        planned=db.session.scalar(
            select(func.count()).where(Meeting.organizer_id == connection.member_id, Meeting.ends_at > clock.now())
        )
        or 0,
    )


def _count(table: type[Copy] | type[Subscription] | type[Placement], connection_id: str) -> int:
    """What is there for certain: of what was asked for without an answer the disconnection tells."""
    certain = table.provider_id.is_not(None)
    return db.session.scalar(select(func.count()).where(table.connection_id == connection_id, certain)) or 0

"""Who of support is here, and how long an answer usually takes."""

from __future__ import annotations

import statistics
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from portal import clock, live
from portal.db import db
from portal.models import Conversation, Member, Presence
from portal.parts import parts

BELIEVED = timedelta(seconds=50)
RECENT = 20  # conversations


def arrive(member_id: str) -> None:
    """A supporter has a page open; renewed while it stays open."""
    row = db.session.get(Presence, member_id, with_for_update=True)
    is_news = row is None or row.seen_at < clock.now() - BELIEVED
    try:
        db.session.merge(Presence(member_id=member_id, seen_at=clock.now()))
        if is_news:
            live.tell(db.session(), live.EVERYBODY, "live-presence")
        db.session.commit()
    except IntegrityError:
        db.session.rollback()  # another page of theirs was opened at this very moment, and says so


def leave(member_id: str) -> None:
    """Their last page was closed, or they signed out."""
    db.session.execute(delete(Presence).where(Presence.member_id == member_id))
    live.tell(db.session(), live.EVERYBODY, "live-presence")
    db.session.commit()


def here() -> list[str]:
    """First names of the supporters who are here."""
    names = db.session.scalars(
        select(Member.name)
        .join(Presence, Presence.member_id == Member.id)
        .where(Presence.seen_at > clock.now() - BELIEVED)
        .order_by(Member.name)
    )
    return [name.split()[0] for name in names]


def usual_answer() -> str:
    """`in a minute`, `in 5 minutes`, `within 3 hours`; "" when nobody knows yet."""
    pairs = db.session.execute(
        select(Conversation.started_at, Conversation.answered_at)
        .where(Conversation.answered_at.is_not(None))
        .order_by(Conversation.started_at.desc())
        .limit(RECENT)
    ).all()
    if not pairs:
        return ""
    waits = [(answered - started).total_seconds() for started, answered in pairs if answered is not None]
    minutes = statistics.median(waits) / 60
    if minutes <= 1.5:
        return "in a minute"
    return f"in {round(minutes)} minutes" if minutes < 90 else f"within {round(minutes / 60)} hours"


def opens_at(now: datetime | None = None) -> datetime | None:
    """When support's hours begin again; None while they last, or when none are set."""
    hours = parts().settings.support_hours
    return hours.opens_at(now or clock.now()) if hours else None

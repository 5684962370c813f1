"""What became of our meetings in a calendar: what is gone, what stays, and what may be there, in words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select

from portal.db import db
from portal.models import Placement
from portal.models.disconnection_step import DONE, FAILED, LEFT_TO_YOU
from portal.workflows.promise import Ended, Work, count_of

STEP = "remove_our_meetings"

DELETE_THEM = "You can delete them in Outlook; people whom you invited to them get a cancellation then."


class Unanswered(NamedTuple):
    """A meeting that we asked to be written without ever having an answer: when, and into which calendar."""

    asked_at: datetime
    calendar_id: str | None


def give_up(work: Work, trouble: str) -> Ended:
    """Not removed, or not found out, in time: they are plain events in the person's calendar."""
    row = work.row()
    connection_id = row.connection_id
    number = db.session.scalar(select(func.count()).where(Placement.connection_id == connection_id)) or 0
    if not row.remove_meetings:
        return Ended(DONE, f"{trouble} {what_stays(row.meetings, len(those_unanswered(connection_id)))}", row.meetings)
    if not number:
        return Ended(FAILED, trouble)
    missing = row.meetings_missing
    removed = row.meetings + len(those_unanswered(connection_id)) - number - missing
    told = [*what_went(work, removed, missing), trouble, f"{count_of(number, 'meeting')} of ours may still be there."]
    return Ended(LEFT_TO_YOU, " ".join([*told, DELETE_THEM]), number)


def those_left(connection_id: str) -> set[str]:
    """The events that our map says are there; the short read is over."""
    ids = db.session.scalars(select(Placement.provider_id).where(Placement.connection_id == connection_id)).all()
    db.session.rollback()
    return {event_id for event_id in ids if event_id is not None}


def those_unanswered(connection_id: str) -> dict[str, Unanswered]:
    """By the id of the meeting; the short read is over."""
    ours = Placement.connection_id == connection_id, Placement.provider_id.is_(None)
    rows = db.session.execute(select(Placement.meeting_id, Placement.written_at, Placement.calendar_id).where(*ours))
    found = {row.meeting_id: Unanswered(row.written_at, row.calendar_id) for row in rows}
    db.session.rollback()
    return found


def what_stays(number: int, unknown: int) -> str:
    if not number and not unknown:
        return "Over this connection Coordinoter had written no meeting into your calendar."
    stay = f"{count_of(number, 'meeting')} written by Coordinoter stay{'s' if number == 1 else ''}"
    told = f"{stay} in your calendar, unless you deleted {'it' if number == 1 else 'them'} there."
    perhaps = f"{count_of(unknown, 'meeting')} may stand there too: we never had Microsoft's answer."
    if not unknown:
        return told
    return f"{told} {perhaps}" if number else perhaps.replace(" too", "")


def what_went(work: Work, removed: int, missing: int) -> list[str]:
    """What is gone, in sentences, whatever came in the way of the rest."""
    told = [f"{count_of(removed, 'meeting')} of ours removed from your calendar."] if removed > 0 else []
    if missing:
        was, it = ("was", "it") if missing == 1 else ("were", "them")
        again = work.attempts(STEP) > 1
        who = f": you, or an earlier try of ours, removed {it}" if again else ""
        told.append(f"{count_of(missing, 'meeting')} of ours {was} not there any more{who}.")
    return told


def what_is_left(left: Collection[str], unknown: int) -> str:
    stayed = f"{count_of(len(left), 'meeting')} of ours stayed in your calendar."
    perhaps = f"{count_of(unknown, 'meeting')} of ours may stand there, of which we never had an answer."
    return f"{stayed} {perhaps}" if left and unknown else perhaps if unknown else stayed

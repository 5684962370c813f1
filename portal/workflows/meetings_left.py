"""What became of our meetings in a calendar: what is gone, what stays, and what may be there, in words."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from portal.db import db
from portal.models import Disconnection, Placement
from portal.models.disconnection_step import DONE, LEFT_TO_YOU
from portal.workflows.promise import Ended, Work, count_of, was


class Unanswered(NamedTuple):
    """A meeting that we asked to be written without ever having an answer: when, and into which calendar."""

    asked_at: datetime
    calendar_id: str | None


class Stands(NamedTuple):
    """Of the meetings that were `planned` to be removed: what was not there, what our map says is left, and the rest.

    `unanswered` ones come on top: whether they were ever written is not known.
    """

    planned: int
    missing: int
    left: set[str]
    unanswered: int

    @property
    def removed(self) -> int:
        return self.planned - self.missing - len(self.left)


def look(work: Work) -> Stands:
    """How it stands at one moment: a twin of the run notes what it does under the same lock; it is let go."""
    row = db.session.get_one(Disconnection, work.id, with_for_update=True, populate_existing=True)
    placed = select(Placement.provider_id).where(Placement.connection_id == row.connection_id)
    event_ids = db.session.scalars(placed).all()
    left = {event_id for event_id in event_ids if event_id is not None}
    stands = Stands(row.meetings, row.meetings_missing, left, event_ids.count(None))
    db.session.rollback()
    return stands


def give_up(work: Work, trouble: str) -> Ended:
    """Not removed, or not found out, in time: they are plain events in the person's calendar."""
    removes, stands = work.row().remove_meetings, look(work)
    number = len(stands.left) + stands.unanswered
    if not removes:
        return Ended(DONE, f"{trouble} {what_stays(stands.planned, stands.unanswered)}", stands.planned)
    told = what_went(stands)
    if not number:
        return Ended(DONE, " ".join(told or [what_stays(0, 0)]), stands.removed)
    told += [trouble, f"{count_of(number, 'meeting')} of ours may still be there.", by_hand(number)]
    return Ended(LEFT_TO_YOU, " ".join(told), number)


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


def what_went(stands: Stands) -> list[str]:
    """What is gone, in sentences, whatever came in the way of the rest. Who deleted what was missing is not known."""
    missing = stands.missing
    told = [f"{count_of(stands.removed, 'meeting')} of ours removed from your calendar."] if stands.removed > 0 else []
    if missing:
        told.append(f"{count_of(missing, 'meeting')} of ours {was(missing)} not there any more.")
    return told


def by_hand(number: int) -> str:
    """What the person can do about them; it has a price that we do not pay for them."""
    them = "it" if number == 1 else "them"
    return f"You can delete {them} in Outlook; people whom you invited get a cancellation then."


def what_is_left(left: Collection[str], unknown: int) -> str:
    stayed = f"{count_of(len(left), 'meeting')} of ours stayed in your calendar."
    perhaps = f"{count_of(unknown, 'meeting')} of ours may stand there, of which we never had an answer."
    return f"{stayed} {perhaps}" if left and unknown else perhaps if unknown else stayed

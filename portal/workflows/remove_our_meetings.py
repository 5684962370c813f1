"""Remove the meetings that we wrote into a calendar, if the person chose so, and never one that would mail others."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import delete, func, select, update

from portal.db import db
from portal.models import Calendar, Disconnection, Placement
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, FAILED, LEFT_TO_YOU
from portal.providers.base import AccessEnded, Gone, ProviderError
from portal.workflows import at_once, intent
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, count_of, shut_out

NONE_THERE = "There was no meeting of ours in your calendar."
AT_ONCE = 500  # placements forgotten with one statement


class _Unanswered(NamedTuple):
    """A meeting that we asked to be written without ever having an answer: when, and into which calendar."""

    asked_at: datetime
    calendar_id: str | None


def remove_our_meetings(work: Work) -> Ended:
    """Leave or remove our meetings.

    Meetings that Coordinoter wrote into your calendar stay there, unless you choose to remove them. Those with invited
    people always stay: Microsoft would mail everybody a cancellation. Your own events are never touched.
    """
    row = work.row()
    connection_id, removes = row.connection_id, row.remove_meetings
    db.session.rollback()
    kept, shut, removed_now = set[str](), "", 0
    refused: dict[str, ProviderError] = {}
    try:
        if removes:  # what we know of goes first: it must not wait for what has to be looked up
            removed_now = _remove(work, kept, refused)
        try:
            _settle(work)
        finally:
            if removes:  # what was found, though perhaps not all was; and once more what was refused
                removed_now += _remove(work, kept, refused)
        for error in refused.values():
            raise error
    except AccessEnded as ended:
        shut = shut_out(ended)
    left, unknown, planned = _left(connection_id), len(_unanswered(connection_id)), work.row().meetings
    db.session.rollback()
    if not removes:
        return Ended(DONE, _what_stays(planned, unknown), planned)
    if not (planned or unknown):
        return Ended(DONE, NONE_THERE, 0)
    if shut and unknown and removed_now:
        raise intent.StillOpen  # we were let in for those: look once more
    if shut:
        detail = f"{shut}: {_still(left, unknown)} You can delete them in Outlook."
        return Ended(LEFT_TO_YOU, _with_removed(planned - len(left), detail), len(left) + unknown)
    removed = planned - len(kept)
    told = [f"{count_of(removed, 'meeting')} of ours removed from your calendar."] if removed or not unknown else []
    if kept:
        told.append(
            f"{count_of(len(kept), 'meeting')} with invited people left there, so that nobody gets a cancellation."
        )
    if unknown:
        told.append(f"{_still(set(), unknown)} You can delete them in Outlook.")
        return Ended(LEFT_TO_YOU, " ".join(told), unknown)
    return Ended(DONE, " ".join(told), removed)


def _remove(work: Work, kept: set[str], refused: dict[str, ProviderError]) -> int:
    """Remove all that our map says are there, but for those `kept`, to which it adds; returns how many went.

    What the vendor forbids is left in `refused`. What is not there any more was deleted by the person, and is not told
    as removed by us, unless an earlier try of ours may have done it.
    """
    provider, left, gone = work.provider(), _left(work.row().connection_id) - kept, 0
    is_first = work.attempts(remove_our_meetings.__name__) <= 1

    def remove_them(access: str) -> None:
        nonlocal gone
        request_ids, removed, missing = list[str](), list[str](), list[str]()

        def remove(event_id: str) -> None:
            try:
                request_id = provider.remove_event(access, event_id)
            except Gone as error:
                request_id = error.request_id
                if is_first:
                    missing.append(event_id)
            if request_id is None:
                kept.add(event_id)
            else:
                request_ids.append(request_id)
                removed.append(event_id)

        refused.clear()
        trouble = at_once.for_each(left - kept, remove, is_over=work.is_over, refused=refused)
        trouble = trouble or next((error for error in refused.values() if not at_once.is_forbidden(error)), None)
        _note_removed(work, removed, request_ids, not_by_us=len(missing))
        left.difference_update(removed)
        gone += len(removed)
        if trouble is not None:
            raise trouble

    if left:  # else an earlier try removed them all
        work.with_access(remove_them)
    return gone


def give_up(work: Work, trouble: str) -> Ended:
    """Not removed, or not found out, in time: they are plain events in the person's calendar."""
    row = work.row()
    connection_id = row.connection_id
    number = db.session.scalar(select(func.count()).where(Placement.connection_id == connection_id)) or 0
    if not row.remove_meetings:
        return Ended(DONE, f"{trouble} {_what_stays(row.meetings, len(_unanswered(connection_id)))}", row.meetings)
    if not number:
        return Ended(FAILED, trouble)
    left = f"{count_of(number, 'meeting')} of ours may still be there; delete them in Outlook."
    removed = row.meetings + len(_unanswered(connection_id)) - number
    return Ended(LEFT_TO_YOU, _with_removed(removed, f"{trouble} {left}"), number)


def _settle(work: Work) -> None:
    """Look for meetings whose writing was never answered, so that they are known from here on.

    Raises StillOpen while one may still come. One whose calendar we do not see any more stays unanswered: it may stand
    in somebody else's, who shares it with this person no longer.
    """
    connection_id = work.row().connection_id
    unanswered = _unanswered(connection_id)
    if not unanswered:
        return
    everywhere = _calendars(connection_id)
    places = [
        (meeting_id, calendar_id)
        for meeting_id, asked in unanswered.items()
        for calendar_id in dict.fromkeys([*everywhere, asked.calendar_id or ""])
    ]
    provider, looked, found = work.provider(), set[tuple[str, str]](), dict[str, str]()
    out_of_sight = set[str]()

    def look_for_them(access: str) -> None:
        def look(place: tuple[str, str]) -> None:
            meeting_id, calendar_id = place
            try:
                event_id = None if meeting_id in found else provider.find_event(access, calendar_id, meeting_id)
                if event_id is not None:
                    found[meeting_id] = event_id
            except Gone:  # a calendar that is not there any more holds nothing, unless it was asked for in this one
                if calendar_id == unanswered[meeting_id].calendar_id:
                    out_of_sight.add(meeting_id)
            looked.add(place)

        refused: dict[tuple[str, str], ProviderError] = {}
        left = [each for each in places if each not in looked]
        trouble = at_once.for_each(left, look, is_over=work.is_over, refused=refused)
        if trouble is not None:
            raise trouble
        for (meeting_id, _), error in refused.items():
            if meeting_id not in found:
                raise error

    try:
        work.with_access(look_for_them)
    finally:
        missing = {meeting_id for meeting_id, _ in places} - {meeting_id for meeting_id, _ in set(places) - looked}
        _note_looked(work, unanswered, found, missing - found.keys() - out_of_sight)
    left_open = _unanswered(connection_id)
    if any(each not in out_of_sight or intent.is_open(asked.asked_at) for each, asked in left_open.items()):
        raise intent.StillOpen


def _note_looked(work: Work, unanswered: dict[str, _Unanswered], found: dict[str, str], missing: set[str]) -> None:
    """Keep what a search brought, although it may not have come to its end."""
    row = work.row()
    connection_id = row.connection_id
    with writing(connection_id, row.epoch, DISCONNECTING):
        for meeting_id, asked in unanswered.items():
            one = Placement.connection_id == connection_id, Placement.meeting_id == meeting_id
            still = db.session.scalar(select(Placement.id).where(*one, Placement.provider_id.is_(None)))
            if still is None:
                continue  # another worker was here, or whoever wrote it took it back
            if meeting_id in found:
                db.session.execute(update(Placement).where(*one).values(provider_id=found[meeting_id]))
                more = update(Disconnection).where(Disconnection.id == work.id)
                db.session.execute(more.values(meetings=Disconnection.meetings + 1))
            elif meeting_id in missing and not intent.is_open(asked.asked_at):
                db.session.execute(delete(Placement).where(*one))
                # For one that comes all the same: whoever wrote it takes it back then, and only then (push.py).
                own = db.session.get_one(Disconnection, work.id, with_for_update=True, populate_existing=True)
                own.sought_in_vain = sorted({*own.sought_in_vain, meeting_id})


def _calendars(connection_id: str) -> list[str]:
    """Where a meeting of ours may stand: the default calendar, and each that we may write to; the read is over."""
    writable = select(Calendar.provider_id).where(Calendar.connection_id == connection_id, Calendar.can_edit)
    ids = db.session.scalars(writable.order_by(Calendar.is_default.desc(), Calendar.id)).all()
    db.session.rollback()
    return ["", *ids]


def _left(connection_id: str) -> set[str]:
    """The events that our map says are there; the short read is over."""
    ids = db.session.scalars(select(Placement.provider_id).where(Placement.connection_id == connection_id)).all()
    db.session.rollback()
    return {event_id for event_id in ids if event_id is not None}


def _unanswered(connection_id: str) -> dict[str, _Unanswered]:
    """By the id of the meeting; the short read is over."""
    ours = Placement.connection_id == connection_id, Placement.provider_id.is_(None)
    rows = db.session.execute(select(Placement.meeting_id, Placement.written_at, Placement.calendar_id).where(*ours))
    found = {row.meeting_id: _Unanswered(row.written_at, row.calendar_id) for row in rows}
    db.session.rollback()
    return found


def _what_stays(number: int, unknown: int) -> str:
    if not number and not unknown:
        return "Coordinoter had written no meeting into this calendar."
    stay = f"{count_of(number, 'meeting')} written by Coordinoter stay{'s' if number == 1 else ''}"
    told = f"{stay} in your calendar, unless you deleted {'it' if number == 1 else 'them'} there."
    perhaps = f"{count_of(unknown, 'meeting')} may stand there too: we never had Microsoft's answer."
    if not unknown:
        return told
    return f"{told} {perhaps}" if number else perhaps.replace(" too", "")


def _with_removed(number: int, rest: str) -> str:
    """What was removed before something came in the way is told as well."""
    return f"{count_of(number, 'meeting')} of ours removed from your calendar. {rest}" if number > 0 else rest


def _still(left: set[str], unknown: int) -> str:
    stayed = f"{count_of(len(left), 'meeting')} of ours stayed in your calendar."
    perhaps = f"{count_of(unknown, 'meeting')} of ours may stand there, of which we never had an answer."
    return f"{stayed} {perhaps}" if left and unknown else perhaps if unknown else stayed


def _note_removed(work: Work, removed: list[str], request_ids: list[str], *, not_by_us: int) -> None:
    """Keep the map true to what is still there, so that a repeated try asks only for the rest.

    In portions: a database takes so many parameters at a time, and no more.
    """
    row = work.row()
    with writing(row.connection_id, row.epoch, DISCONNECTING):
        for start in range(0, len(removed), AT_ONCE):
            gone = Placement.provider_id.in_(removed[start : start + AT_ONCE])
            db.session.execute(delete(Placement).where(Placement.connection_id == row.connection_id, gone))
        if not_by_us:
            fewer = update(Disconnection).where(Disconnection.id == work.id)
            db.session.execute(fewer.values(meetings=Disconnection.meetings - not_by_us))
        work.note_requests(remove_our_meetings.__name__, request_ids)

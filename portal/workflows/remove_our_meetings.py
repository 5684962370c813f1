"""Remove the meetings that we wrote into a calendar, if the person chose so, and never one that would mail others.

`meetings_left` tells how they stand.
"""

from __future__ import annotations

from sqlalchemy import delete, select, update

from portal.db import db
from portal.models import Calendar, Disconnection, Placement
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, LEFT_TO_YOU
from portal.providers.base import AccessEnded, Gone, ProviderError
from portal.workflows import at_once, intent, meetings_left
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, count_of, shut_out, was

AT_ONCE = 500  # placements forgotten with one statement


def remove_our_meetings(work: Work) -> Ended:
    """Leave or remove our meetings.

    Meetings that Coordinoter wrote into your calendar stay there, unless you choose to remove them. Those with invited
    people always stay: Microsoft would mail everybody a cancellation. Your own events are never touched.
    """
    removes = work.row().remove_meetings
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
    stands = meetings_left.look(work)
    planned, unknown = stands.planned, stands.unanswered
    if not removes or not (planned or unknown):
        return Ended(DONE, meetings_left.what_stays(planned, unknown), planned)
    if shut and unknown and removed_now:
        raise intent.StillOpen  # we were let in for those: look once more
    kept &= stands.left
    ours = stands.left - kept
    told = meetings_left.what_went(stands)
    if kept:
        guests = f"{count_of(len(kept), 'meeting')} with invited people {was(len(kept))}"
        told.append(f"{guests} left in your calendar, so that nobody gets a cancellation.")
    if ours or unknown:
        why = f"{shut}: " if shut else ""
        told.append(f"{why}{meetings_left.what_is_left(ours, unknown)} {meetings_left.by_hand(len(ours) + unknown)}")
        return Ended(LEFT_TO_YOU, " ".join(told), len(ours) + unknown)
    return Ended(DONE, " ".join(told), stands.removed)


def _remove(work: Work, kept: set[str], refused: dict[str, ProviderError]) -> int:
    """Remove all that our map says are there, but for those `kept`, to which it adds; returns how many went.

    What the vendor forbids is left in `refused`.
    """
    provider, left, gone = work.provider(), meetings_left.those_left(work.row().connection_id) - kept, 0

    def remove_them(access: str) -> None:
        nonlocal gone
        request_ids, gone_now, missing = list[str](), list[str](), list[str]()

        def remove(event_id: str) -> None:
            try:
                request_id = provider.remove_event(access, event_id)
            except Gone as error:
                request_id = error.request_id
                missing.append(event_id)
            if request_id is None:
                kept.add(event_id)
            else:
                request_ids.append(request_id)
                gone_now.append(event_id)

        refused.clear()
        trouble = at_once.for_each(left - kept, remove, is_over=work.is_over, refused=refused)
        trouble = trouble or next((error for error in refused.values() if not at_once.is_forbidden(error)), None)
        _note_gone(work, gone_now, missing, request_ids)
        left.difference_update(gone_now)
        gone += len(gone_now)
        if trouble is not None:
            raise trouble

    if left:  # else an earlier try removed them all
        work.with_access(remove_them)
    return gone


def _settle(work: Work) -> None:
    """Look for meetings whose writing was never answered, so that they are known from here on.

    Raises StillOpen while one may still come. One whose calendar we do not see any more stays unanswered: it may stand
    in somebody else's, who shares it with this person no longer.
    """
    connection_id = work.row().connection_id
    unanswered = meetings_left.those_unanswered(connection_id)
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
    left_open = meetings_left.those_unanswered(connection_id)
    if any(each not in out_of_sight or intent.is_open(asked.asked_at) for each, asked in left_open.items()):
        raise intent.StillOpen


def _note_looked(
    work: Work, unanswered: dict[str, meetings_left.Unanswered], found: dict[str, str], missing: set[str]
) -> None:
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


def _note_gone(work: Work, gone: list[str], missing: list[str], request_ids: list[str]) -> None:
    """Keep the map true to what is still there, so that a repeated try asks only for the rest.

    Those of them that were not there any more are counted apart. In portions: a database takes so many parameters at a
    time, and no more.
    """
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    with writing(connection_id, epoch, DISCONNECTING):
        # What a twin of this run has noted meanwhile is noted.
        not_there = _forget(connection_id, missing)
        _forget(connection_id, gone)
        if not_there:
            more = update(Disconnection).where(Disconnection.id == work.id)
            db.session.execute(more.values(meetings_missing=Disconnection.meetings_missing + not_there))
        work.note_requests(remove_our_meetings.__name__, request_ids)


def _forget(connection_id: str, event_ids: list[str]) -> int:
    """Take these out of the map, in the caller's transaction; returns how many were in it."""
    number = 0
    for start in range(0, len(event_ids), AT_ONCE):
        these = Placement.provider_id.in_(event_ids[start : start + AT_ONCE])
        done = db.session.execute(delete(Placement).where(Placement.connection_id == connection_id, these))
        number += done.rowcount  # type: ignore[attr-defined]
    return number

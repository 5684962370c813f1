"""Remove the meetings that we wrote into a calendar, if the person chose so, and never one that would mail others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import delete, func, select

from portal.db import db
from portal.models import Placement
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, FAILED, LEFT_TO_YOU
from portal.providers.base import AccessEnded, Gone, ProviderError
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, count_of

AT_ONCE = 4  # as many calls as Microsoft takes for one mailbox at a time


def remove_our_meetings(work: Work) -> Ended:
    """Leave or remove our meetings.

    Meetings that Coordinoter wrote into your calendar stay there, unless you choose to remove them. Those with invited
    people always stay: Microsoft would mail everybody a cancellation. Your own events are never touched.
    """
    row = work.row()
    if not row.meetings:
        return Ended(DONE, "Coordinoter had written no meeting into this calendar.", 0)
    if not row.remove_meetings:
        stay = f"{count_of(row.meetings, 'meeting')} written by Coordinoter stay{'s' if row.meetings == 1 else ''}"
        return Ended(
            DONE,
            f"{stay} in your calendar, unless you deleted {'it' if row.meetings == 1 else 'them'} there.",
            row.meetings,
        )
    left = dict(
        db.session.execute(
            select(Placement.provider_id, Placement.id).where(Placement.connection_id == row.connection_id)
        ).all()
    )
    planned = row.meetings
    provider, request_ids, kept = work.provider(), list[str](), set[str]()

    def remove_them(access: str) -> None:
        trouble = list[ProviderError]()

        def remove(event_id: str) -> None:
            if trouble:
                return  # the rest waits for the next try
            try:
                request_id = provider.remove_event(access, event_id)
            except Gone as gone:
                request_id = gone.request_id
            except ProviderError as error:
                trouble.append(error)
                return
            if request_id is None:
                kept.add(event_id)
            else:
                request_ids.append(request_id)
                left.pop(event_id)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(remove, [each for each in left if each not in kept]))
        _forget_removed(work, set(left))
        if trouble:
            raise trouble[0]

    try:
        work.with_access(remove_them)
    except AccessEnded:
        return Ended(LEFT_TO_YOU, f"Microsoft no longer lets us in: {_still(left)} You can delete them in Outlook.")
    removed = planned - len(kept)
    told = f"{count_of(removed, 'meeting')} of ours removed from your calendar."
    ids = [each for each in request_ids if each]
    if kept:
        told += f" {count_of(len(kept), 'meeting')} with invited people left there, so that nobody gets a cancellation."
    return Ended(DONE, told, removed, ids)


def give_up(work: Work, trouble: str) -> Ended:
    """Not removed in time: they are plain events in the person's calendar."""
    connection_id = work.row().connection_id
    number = db.session.scalar(select(func.count()).where(Placement.connection_id == connection_id)) or 0
    if not number:
        return Ended(FAILED, trouble)
    left = f"{count_of(number, 'meeting')} of ours may still be there; delete them in Outlook."
    return Ended(LEFT_TO_YOU, f"{trouble} {left}", number)


def _still(left: dict[str, str]) -> str:
    return f"{count_of(len(left), 'meeting')} of ours stayed in your calendar."


def _forget_removed(work: Work, left: set[str]) -> None:
    """Keep the map true to what is still there, so that a repeated try asks only for the rest."""
    row = work.row()
    with writing(row.connection_id, row.epoch, DISCONNECTING):
        db.session.execute(
            delete(Placement).where(Placement.connection_id == row.connection_id, Placement.provider_id.not_in(left))
        )

"""Late notifications: the vendor may go on telling us of a connection that was severed. Whose, how many, until when.

When notifications are ended we keep a mark of each subscription (`models/ended_subscription.py`), for as long as it can
live at the vendor's. What carries such a mark later is counted on its disconnection: it opens and syncs nothing.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import delete, select

from portal import clock
from portal.db import db, reads_only
from portal.models import Disconnection, EndedSubscription, Subscription
from portal.parts import parts
from portal.providers.base import Notification
from portal.vault import CannotOpen
from portal.workflows import counters
from portal.workflows.activity import record
from portal.workflows.promise import Work, at, count_of
from portal.workflows.subscribe import CLIENT_STATE, LIFE

logger = logging.getLogger("portal.late")

AT_ONCE = 500  # marks looked up with one question
GRACE = timedelta(days=1)  # after its end, for deliveries that the vendor repeats


def remember(work: Work) -> None:
    """Keep the marks of a connection's subscriptions, as long as its key can open their client states."""
    row = work.row()
    connection_id, forget_at = row.connection_id, row.started_at + LIFE + GRACE
    asked = select(Subscription.provider_id, Subscription.client_state_sealed, Subscription.expires_at)
    held = db.session.execute(asked.where(Subscription.connection_id == connection_id)).all()
    db.session.rollback()
    marks = {}
    for provider_id, sealed, expires_at in held:
        if sealed is None:
            continue
        try:
            client_state = parts().vault.open(connection_id, CLIENT_STATE, sealed)
        except CannotOpen:
            continue
        marks[_mark(provider_id, client_state)] = max(forget_at, expires_at + GRACE)
    for mark, until in marks.items():
        db.session.merge(EndedSubscription(mark=mark, disconnection_id=work.id, forget_at=until))
    db.session.commit()


def note(notes: Iterable[Notification]) -> None:
    """Count what was thrown away, and let the disconnections that it belongs to say so."""
    notes = list(notes)
    if not notes:
        return
    counters.add("late_notifications", len(notes))
    marks = [[_mark(name, each.client_state) for name in (each.subscription_id, None)] for each in notes]
    whose = _whose({mark for either in marks for mark in either})
    numbers = Counter(whose[known[0]] for either in marks if (known := [mark for mark in either if mark in whose]))
    for disconnection_id, number in sorted(numbers.items()):
        row = db.session.get_one(Disconnection, disconnection_id, with_for_update=True, populate_existing=True)
        if not row.late_notifications:
            record("connection:notification:late", member_id=row.member_id, connection_id=row.connection_id)
        row.late_notifications += number
        row.last_notification_at = clock.now()
        db.session.commit()
    logger.info("%d notifications for no living subscription were dropped", len(notes))


def forget() -> int:
    """For the daily watch: forget old marks, and record until when notifications arrived; returns how many arrived."""
    now, total = clock.now(), 0
    over = select(EndedSubscription.disconnection_id).where(EndedSubscription.forget_at < now)
    for row in db.session.scalars(select(Disconnection).where(Disconnection.id.in_(over))):
        if row.late_notifications and row.last_notification_at:
            told = f"{count_of(row.late_notifications, 'notification')} until {at(row.last_notification_at)}"
            record("watch:late", member_id=row.member_id, connection_id=row.connection_id, detail=told)
            total += row.late_notifications
    db.session.execute(delete(EndedSubscription).where(EndedSubscription.forget_at < now))
    db.session.commit()
    return total


def _whose(marks: set[str]) -> dict[str, str]:
    """Mark to disconnection, in few questions: anybody can post here, and a delivery may name thousands."""
    ordered, found = sorted(marks), dict[str, str]()
    with reads_only():
        for start in range(0, len(ordered), AT_ONCE):
            some = EndedSubscription.mark.in_(ordered[start : start + AT_ONCE])
            asked = select(EndedSubscription.mark, EndedSubscription.disconnection_id).where(some)
            found |= {row.mark: row.disconnection_id for row in db.session.execute(asked)}
        db.session.rollback()
    return found


def _mark(subscription_id: str | None, client_state: str) -> str:
    """Of a subscription whose making was never answered we know the client state alone."""
    return hashlib.sha256(f"{subscription_id or ''}:{client_state}".encode()).hexdigest()

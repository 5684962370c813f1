"""Receive change notifications: believe only those that carry our secret, and let a sync look for itself."""

from __future__ import annotations

import hmac
import logging
from collections import Counter
from contextlib import suppress

from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db, reads_only
from portal.models import Connection, Subscription
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers.base import Notification, Rejected
from portal.vault import CannotOpen, KeysAway
from portal.workflows import late, sync
from portal.workflows.epoch import Fenced, writing
from portal.workflows.not_now import NotNow
from portal.workflows.subscribe import CLIENT_STATE

logger = logging.getLogger("portal.receive")

LOOK_UP = 500  # subscriptions looked up with one question


def notifications(integration: str, body: bytes) -> int:
    """Take a delivery; returns how many connections will sync because of it. Nothing in it is trusted but its hint.

    Raises NotNow when its secrets cannot be compared at the moment.
    """
    try:
        found = parts().providers[integration].parse_notifications(body)
    except Rejected:
        logger.warning("a delivery that is no notification was dropped")
        return 0
    notes = Counter(found)  # several changes look alike to us: they are judged once
    known = _known({note.subscription_id for note in notes})
    woken = set[str]()
    for note, times in notes.items():
        if note.subscription_id in known:
            woken.update(_judge(note, times))
    late.note(note for note in found if note.subscription_id not in known)
    return sum(sync.want(connection_id) for connection_id in woken)


def _known(named: set[str]) -> set[str]:
    """Those that were not ended, in few questions: anybody can post here, and a delivery may name thousands."""
    ids, found = sorted(named), set[str]()
    with reads_only():
        for at in range(0, len(ids), LOOK_UP):
            some = Subscription.provider_id.in_(ids[at : at + LOOK_UP]), Subscription.ended_how.is_(None)
            found |= set(db.session.scalars(select(Subscription.provider_id).where(*some)))
        db.session.rollback()
    return found


def _judge(note: Notification, times: int) -> list[str]:
    named = Subscription.provider_id == note.subscription_id, Subscription.ended_how.is_(None)
    row = db.session.scalar(select(Subscription).where(*named))
    if row is None or not _is_ours(row, note.client_state):
        db.session.rollback()
        late.note([note] * times)
        return []
    connection = db.session.get_one(Connection, row.connection_id)
    woken = list(
        db.session.scalars(
            select(Connection.id).where(
                Connection.state == CONNECTED,
                Connection.account_tenant == connection.account_tenant,
                Connection.account_subject == connection.account_subject,
            )
        )
    )
    this, connection_id, epoch = Subscription.id == row.id, connection.id, connection.epoch
    db.session.rollback()
    if note.lifecycle in ("subscriptionRemoved", "reauthorizationRequired"):
        with suppress(Fenced), writing(connection_id, epoch, CONNECTED):
            if note.lifecycle == "subscriptionRemoved":
                db.session.execute(delete(Subscription).where(this))
            else:  # the token it was made with nears its end; the sync that follows brings a new one
                db.session.execute(update(Subscription).where(this).values(renew_at=clock.now()))
    return woken


def _is_ours(row: Subscription, client_state: str) -> bool:
    if row.client_state_sealed is None:
        return False
    try:
        ours = parts().vault.open(row.connection_id, CLIENT_STATE, row.client_state_sealed)
    except CannotOpen:
        return False
    except KeysAway:
        db.session.rollback()
        raise NotNow from None
    return hmac.compare_digest(ours.encode(), client_state.encode())

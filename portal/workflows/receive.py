"""Receive change notifications: believe only those that carry our secret, and let a sync look for itself."""

from __future__ import annotations

import hmac
import logging

from sqlalchemy import delete, select

from portal.db import db
from portal.models import Connection, Subscription
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers.base import Notification, Rejected
from portal.vault import CannotOpen
from portal.workflows import counters, sync
from portal.workflows.subscribe import CLIENT_STATE

logger = logging.getLogger("portal.receive")


def notifications(integration: str, body: bytes) -> int:
    """Take a delivery; returns how many connections will sync because of it. Nothing in it is trusted but its hint."""
    try:
        found = parts().providers[integration].parse_notifications(body)
    except Rejected:
        logger.warning("a delivery that is no notification was dropped")
        return 0
    woken = {connection_id for note in found for connection_id in _judge(note)}
    return sum(sync.want(connection_id) for connection_id in woken)


def _judge(note: Notification) -> list[str]:
    row = db.session.scalar(select(Subscription).where(Subscription.provider_id == note.subscription_id))
    if row is None or not _is_ours(row, note.client_state):
        db.session.rollback()
        counters.add("late_notifications")
        logger.info("a notification for no living subscription was dropped")
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
    if note.lifecycle == "subscriptionRemoved" and connection.state == CONNECTED:
        db.session.execute(delete(Subscription).where(Subscription.id == row.id))
        db.session.commit()
    else:
        db.session.rollback()
    return woken


def _is_ours(row: Subscription, client_state: str) -> bool:
    try:
        ours = parts().vault.open(row.connection_id, CLIENT_STATE, row.client_state_sealed)
    except CannotOpen:
        return False
    return hmac.compare_digest(ours.encode(), client_state.encode())

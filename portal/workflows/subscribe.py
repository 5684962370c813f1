"""Keep one subscription alive per connection, so that the vendor tells us about changes as they happen."""

from __future__ import annotations

import logging
import secrets
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db
from portal.models import Subscription
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers import base
from portal.vault import CannotOpen, KeysAway
from portal.workflows import tokens
from portal.workflows.epoch import Fenced, writing

logger = logging.getLogger("portal.subscribe")

LIFE = timedelta(days=2)  # short on purpose: one that nobody can delete any more dies soon
RENEW = timedelta(days=1)  # before its end
CLIENT_STATE = "client-state"


def ensure(connection_id: str, epoch: int, provider: base.Provider) -> None:
    """Make, renew or replace the subscription. A vendor that refuses costs us speed, not truth: syncs go on."""
    row = db.session.execute(
        select(Subscription.provider_id, Subscription.expires_at, Subscription.renew_at).where(
            Subscription.connection_id == connection_id
        )
    ).first()
    db.session.rollback()
    now = clock.now()
    try:
        if row is None or row.expires_at <= now:
            _forget(connection_id, epoch)
            _create(connection_id, epoch, provider)
        elif row.renew_at <= now:
            _renew(connection_id, epoch, provider, row.provider_id)
    except (base.Rejected, base.Busy, base.Unreachable) as error:
        logger.warning("no subscription for %s: %s %s", connection_id, type(error).__name__, error.request_id)


def _create(connection_id: str, epoch: int, provider: base.Provider) -> None:
    url, client_state = parts().settings.webhook_url, secrets.token_urlsafe(32)
    used: list[str] = []

    def ask(access: str) -> base.Subscription:
        used[:] = [access]
        return provider.subscribe(access, url, client_state, clock.now() + LIFE)

    made = tokens.with_access(connection_id, epoch, ask)
    try:
        with writing(connection_id, epoch, CONNECTED):
            db.session.add(
                Subscription(
                    connection_id=connection_id,
                    provider_id=made.id,
                    client_state_sealed=parts().vault.seal_also(connection_id, CLIENT_STATE, client_state),
                    expires_at=made.expires_at,
                    renew_at=made.expires_at - RENEW,
                )
            )
    except (Fenced, CannotOpen, KeysAway):
        # The disconnection may have listed what the vendor holds before this one existed, or we could not keep its
        # secret: take it back ourselves.
        with suppress(base.ProviderError):
            provider.unsubscribe(used[0], made.id)
        raise


def _renew(connection_id: str, epoch: int, provider: base.Provider, subscription_id: str) -> None:
    try:
        made = tokens.with_access(
            connection_id, epoch, lambda access: provider.renew(access, subscription_id, clock.now() + LIFE)
        )
    except base.Gone:
        _forget(connection_id, epoch)
        _create(connection_id, epoch, provider)
        return
    with writing(connection_id, epoch, CONNECTED):
        db.session.execute(
            update(Subscription)
            .where(Subscription.connection_id == connection_id, Subscription.provider_id == subscription_id)
            .values(expires_at=made.expires_at, renew_at=made.expires_at - RENEW)
        )


def _forget(connection_id: str, epoch: int) -> None:
    with writing(connection_id, epoch, CONNECTED):
        db.session.execute(delete(Subscription).where(Subscription.connection_id == connection_id))

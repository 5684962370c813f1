"""Keep one subscription alive per connection, so that the vendor tells us about changes as they happen."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db, new_id
from portal.models import Subscription
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers import base
from portal.workflows import intent, tokens
from portal.workflows.epoch import Fenced, writing

logger = logging.getLogger("portal.subscribe")

LIFE = timedelta(days=2)  # short on purpose: one that nobody can delete any more dies soon
RENEW = timedelta(days=1)  # before its end
CLIENT_STATE = "client-state"


def ensure(connection_id: str, epoch: int, provider: base.Provider) -> None:
    """Make, renew or replace the subscription. A vendor that refuses costs us speed, not truth: syncs go on."""
    row = db.session.execute(
        select(Subscription.id, Subscription.provider_id, Subscription.expires_at, Subscription.renew_at).where(
            Subscription.connection_id == connection_id
        )
    ).first()
    db.session.rollback()
    now = clock.now()
    try:
        if row is None or row.expires_at <= now:
            _create(connection_id, epoch, provider)
        elif row.provider_id is None:
            _settle(connection_id, epoch, provider, row.id, still_open=intent.is_open(row.expires_at - LIFE))
        elif row.renew_at <= now:
            _renew(connection_id, epoch, provider, row.provider_id)
    except (base.Rejected, base.Busy, base.Gone, base.Unreachable) as error:
        logger.warning("no subscription for %s: %s %s", connection_id, type(error).__name__, error.request_id)


def address(mark: str) -> str:
    """Where the vendor delivers what belongs to the subscription with this id of ours."""
    return f"{parts().settings.webhook_url}/{mark}"


def ours(held: Iterable[base.Subscription]) -> dict[str, base.Subscription]:
    """Those at the vendor that are ours, by the id that we gave them."""
    start = address("")
    return {each.notification_url.removeprefix(start): each for each in held if each.notification_url.startswith(start)}


def relied_on_by_others(connection_id: str, found: dict[str, base.Subscription]) -> set[str]:
    """Which of these (by our ids) another connection, to the same account, relies on or is about to."""
    theirs = Subscription.connection_id != connection_id, Subscription.ended_how.is_(None)
    others = set(db.session.scalars(select(Subscription.id).where(*theirs, Subscription.id.in_(found))))
    db.session.rollback()
    return others


# --- make one -------------------------------------------------------------------------------------------------------


@dataclass
class _Asking:
    """One subscription about to be made, and the access token that it was asked for with."""

    mark: str
    client_state: str
    used: str = ""


def _create(connection_id: str, epoch: int, provider: base.Provider) -> None:
    asking = _intend(connection_id, epoch)
    try:
        made = _ask(connection_id, epoch, provider, asking)
    except base.Rejected:
        # Microsoft allows one per application and mailbox: perhaps an old one of ours, which nobody knows, is there.
        try:
            if not _clear(connection_id, epoch, provider):
                raise
            made = _ask(connection_id, epoch, provider, asking)
        except intent.NOTHING_MADE:
            _withdraw(asking.mark)
            raise
    except intent.NOTHING_MADE:
        _withdraw(asking.mark)
        raise
    try:
        _complete(connection_id, epoch, asking.mark, made)
    except Fenced:
        # The disconnection may have listed what the vendor holds before this one existed: take it back ourselves.
        with suppress(base.ProviderError):
            with suppress(base.Gone):
                provider.unsubscribe(asking.used, made.id)
            _withdraw(asking.mark)
        raise


def _intend(connection_id: str, epoch: int) -> _Asking:
    """Write down what we are about to ask for, in the place of what is no longer there."""
    asking, now = _Asking(new_id(), secrets.token_urlsafe(32)), clock.now()
    with writing(connection_id, epoch, CONNECTED):
        db.session.execute(delete(Subscription).where(Subscription.connection_id == connection_id))
        db.session.add(
            Subscription(
                id=asking.mark,
                connection_id=connection_id,
                client_state_sealed=parts().vault.seal_also(connection_id, CLIENT_STATE, asking.client_state),
                expires_at=now + LIFE,
                renew_at=now + LIFE - RENEW,
            )
        )
    return asking


def _ask(connection_id: str, epoch: int, provider: base.Provider, asking: _Asking) -> base.Subscription:
    def call(access: str) -> base.Subscription:
        asking.used = access
        # Here, as waiting for an access token, or clearing away, may have taken as long as an intent stays open.
        ends = _stamp(connection_id, epoch, asking.mark)
        return provider.subscribe(access, address(asking.mark), asking.client_state, ends)

    return tokens.with_access(connection_id, epoch, call)


def _stamp(connection_id: str, epoch: int, mark: str) -> datetime:
    """Note on the intent the end that is asked for now. Raises Fenced also when the intent was given up meanwhile."""
    ends = clock.now() + LIFE
    _fill_in(connection_id, epoch, mark, {"expires_at": ends, "renew_at": ends - RENEW})
    return ends


def _complete(connection_id: str, epoch: int, mark: str, made: base.Subscription) -> None:
    """The vendor has it, and now we know. Raises Fenced also when the intent was given up meanwhile."""
    values = {"provider_id": made.id, "expires_at": made.expires_at, "renew_at": made.expires_at - RENEW}
    _fill_in(connection_id, epoch, mark, values)


def _fill_in(connection_id: str, epoch: int, mark: str, values: dict[str, Any]) -> None:
    with writing(connection_id, epoch, CONNECTED):
        if not db.session.execute(update(Subscription).where(Subscription.id == mark).values(values)).rowcount:  # type: ignore[attr-defined]
            raise Fenced(connection_id)


def _withdraw(mark: str) -> None:
    """Nothing came of this intent. It may be said after the fence too: nothing is written."""
    db.session.execute(delete(Subscription).where(Subscription.id == mark, Subscription.provider_id.is_(None)))
    db.session.commit()


# --- what became of one ---------------------------------------------------------------------------------------------


def _settle(connection_id: str, epoch: int, provider: base.Provider, mark: str, *, still_open: bool) -> None:
    """An answer was lost: the subscription is there after all, or may still come, or is asked for anew."""
    found = ours(tokens.with_access(connection_id, epoch, lambda access: list(provider.subscriptions(access))))
    if mark in found:
        _complete(connection_id, epoch, mark, found[mark])
    elif not still_open:
        _create(connection_id, epoch, provider)


def _clear(connection_id: str, epoch: int, provider: base.Provider) -> int:
    """Delete subscriptions of ours that no connection knows; returns how many there were."""
    found = ours(tokens.with_access(connection_id, epoch, lambda access: list(provider.subscriptions(access))))
    strays = [found[mark].id for mark in found.keys() - relied_on_by_others(connection_id, found)]

    def end_them(access: str) -> None:
        for subscription_id in strays:
            with suppress(base.Gone):
                provider.unsubscribe(access, subscription_id)

    if strays:
        tokens.with_access(connection_id, epoch, end_them)
    return len(strays)


def _renew(connection_id: str, epoch: int, provider: base.Provider, subscription_id: str) -> None:
    def call(access: str) -> base.Subscription:
        with writing(connection_id, epoch, CONNECTED):
            ends = clock.now() + LIFE  # in here: what a disconnection tells reckons from its own beginning
        return provider.renew(access, subscription_id, ends)

    try:
        made = tokens.with_access(connection_id, epoch, call)
    except base.Gone:
        _create(connection_id, epoch, provider)
        return
    with writing(connection_id, epoch, CONNECTED):
        db.session.execute(
            update(Subscription)
            .where(Subscription.connection_id == connection_id, Subscription.provider_id == subscription_id)
            .values(expires_at=made.expires_at, renew_at=made.expires_at - RENEW)
        )

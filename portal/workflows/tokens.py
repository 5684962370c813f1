"""Keep, refresh and hand out the tokens of a connection. They are sealed at rest and open only inside a call."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy import update

from portal import clock, live
from portal.db import db, new_id
from portal.models import Connection, Disconnection, Token
from portal.models.connection import CONNECTED, DISCONNECTING, NEEDS_ATTENTION
from portal.parts import parts
from portal.providers.base import AccessEnded, AccessExpired, AccessReason, Provider, ProviderError, Tokens, Unreachable
from portal.vault import CannotOpen, KeysAway
from portal.workflows import counters
from portal.workflows.at_once import TimeIsUp
from portal.workflows.epoch import Fenced, writing

logger = logging.getLogger("portal.tokens")
T = TypeVar("T")

ACCESS, REFRESH = "access_token", "refresh_token"
LONGEST_LIFE = timedelta(minutes=90)
"""Of an access token: https://learn.microsoft.com/entra/identity-platform/access-tokens#token-lifetime"""

EARLY = timedelta(minutes=2)  # refresh before the very last moment: our clock and Microsoft's may differ
LEASE = timedelta(seconds=60)  # how long one refresh may hold the others back


def keep(connection: Connection, tokens: Tokens, *, signed_in: bool = False) -> None:
    """Seal and store tokens, as part of the caller's guarded transaction. An old refresh token is overwritten.

    Only a sign-in may make a key. Raises CannotOpen when there is none, and KeysAway.
    """
    vault = parts().vault
    seal = vault.seal if signed_in else vault.seal_also
    row = db.session.get(Token, connection.id) or Token(connection_id=connection.id, lapses_at=tokens.expires_at)
    row.epoch = connection.epoch
    row.access_sealed = seal(connection.id, ACCESS, tokens.access_token)
    if tokens.refresh_token:
        row.refresh_sealed = seal(connection.id, REFRESH, tokens.refresh_token)
    row.expires_at = tokens.expires_at
    row.lapses_at = max(row.lapses_at, tokens.expires_at)
    row.issued_at = clock.now()
    db.session.add(row)
    if connection.state == DISCONNECTING:
        tell(connection.id, tokens.expires_at)


def last_lapses_at(connection: Connection, token: Token | None) -> datetime | None:
    """When the last access token that was issued to us lapses, as far as we can know.

    A lease that is still there was left by a refresh that is under way, or that died: what it won reached nobody.
    """
    ends = [token.lapses_at] if token else []
    if token and connection.refresh_lease_until:
        ends.append(_perhaps_until(connection.refresh_lease_until))
    return max(ends, default=None)


def let_go(connection: Connection) -> None:
    """Clear a refresh's lease, and remember what it may have won: as part of the caller's transaction."""
    if connection.refresh_lease_until:
        tell(connection.id, _perhaps_until(connection.refresh_lease_until))
    connection.refresh_lease = connection.refresh_lease_until = None


def _perhaps_until(lease_until: datetime) -> datetime:
    """Until when what a refresh won may live: it was answered before its lease was over, or never."""
    return lease_until + LONGEST_LIFE


def tell(connection_id: str, lapses_at: datetime) -> None:
    """Let the receipt name the last moment of a token, as part of the caller's transaction.

    One that comes when the receipt is signed, since the answer to a call was under way for so long, is told beside it.
    """
    held, told = Token.lapses_at, Disconnection.lapses_at
    db.session.execute(
        update(Token)
        .where(Token.connection_id == connection_id, held < lapses_at)
        .values(lapses_at=lapses_at)
        .execution_options(synchronize_session="fetch")
    )
    db.session.execute(
        update(Disconnection)
        .where(Disconnection.connection_id == connection_id, Disconnection.finished_at.is_(None))
        .where(told.is_(None) | (told < lapses_at))
        .values(lapses_at=lapses_at)
        .execution_options(synchronize_session="fetch")
    )
    late = Disconnection.late_lapses_at
    db.session.execute(
        update(Disconnection)
        .where(Disconnection.connection_id == connection_id, Disconnection.finished_at.is_not(None))
        .where(told.is_(None) | (told < lapses_at), late.is_(None) | (late < lapses_at))
        .values(late_lapses_at=lapses_at)
        .execution_options(synchronize_session="fetch")
    )


def with_access(
    connection_id: str,
    epoch: int,
    call: Callable[[str], T],
    *,
    states: tuple[str, ...] = (),
    is_over: Callable[[], bool] = lambda: False,
) -> T:
    """Do `call(access_token)`, refreshing first when the token is old, and once more when it is not accepted.

    No database transaction is open while `call` runs. Raises what the provider raises, and Fenced. `is_over` is asked
    while somebody else's refresh is waited for: they may be dead, and the wait must not outlast the caller's work.
    """
    states = states or (CONNECTED,)
    try:
        return call(access_token(connection_id, epoch, states, is_over=is_over))
    except AccessExpired as refused:
        request_id = refused.request_id
    try:
        return call(access_token(connection_id, epoch, states, not_this_one=True, is_over=is_over))
    except AccessExpired:
        raise AccessEnded(AccessReason.SIGN_IN_NEEDED, request_id=request_id) from None


def access_token(
    connection_id: str,
    epoch: int,
    states: tuple[str, ...],
    *,
    not_this_one: bool = False,
    is_over: Callable[[], bool] = lambda: False,
) -> str:
    """A living access token. Raises AccessEnded when there is none to be had, TimeIsUp, and Fenced."""
    asked_at = clock.now()
    for _ in range(120):
        lease = new_id()
        with writing(connection_id, epoch, *states) as connection:
            row = db.session.get(Token, connection_id)
            if row is None:
                raise AccessEnded(AccessReason.TOKEN_UNREADABLE)
            fresh = row.expires_at > clock.now() + EARLY and not (not_this_one and row.issued_at < asked_at)
            if fresh:
                return open_sealed(connection_id, ACCESS, row.access_sealed)
            busy = connection.refresh_lease is not None and (connection.refresh_lease_until or asked_at) > clock.now()
            if not busy:
                let_go(connection)  # of one that died
                connection.refresh_lease, connection.refresh_lease_until = lease, clock.now() + LEASE
                sealed = row.refresh_sealed
        if not busy:
            return _refresh(connection_id, epoch, states, sealed, lease)
        if is_over():
            raise TimeIsUp("another refresh did not end in time")
        time.sleep(0.5)  # someone else refreshes: take what they bring
    raise Unreachable("another refresh did not end")


def open_sealed(connection_id: str, purpose: str, sealed: str | None) -> str:
    """Open a token; a missing or unreadable one means "please reconnect", never a crash."""
    try:
        if sealed is None:
            raise CannotOpen("there is none")
        return parts().vault.open(connection_id, purpose, sealed)
    except CannotOpen:
        raise AccessEnded(AccessReason.TOKEN_UNREADABLE) from None


def _refresh(connection_id: str, epoch: int, states: tuple[str, ...], sealed: str | None, lease: str) -> str:
    provider = provider_of(connection_id)
    try:
        tokens = provider.refresh(open_sealed(connection_id, REFRESH, sealed))
    except BaseException as trouble:
        _free(connection_id, lease)
        if isinstance(trouble, Unreachable):  # a token may have been issued in an answer that was lost on its way
            tell(connection_id, clock.now() + LONGEST_LIFE)
        db.session.commit()
        raise
    try:
        with writing(connection_id, epoch, *states) as connection:
            keep(connection, tokens)
            connection.refresh_lease = connection.refresh_lease_until = None
    except (Fenced, CannotOpen, KeysAway) as refused:
        if isinstance(refused, Fenced):  # whoever fenced us has counted the lease already, and may wait for it
            _free(connection_id, lease)
            db.session.commit()
        # During an outage of ours they are only dropped: revoking them could end the stored ones, which stay good.
        revoked = not isinstance(refused, KeysAway) and dispose(provider, tokens)
        _free(connection_id, lease)  # only with what is told: after a kill it is all that is heard of them
        if not revoked:
            tell(connection_id, tokens.expires_at)
        db.session.commit()
        counters.add("tokens_disposed")
        if isinstance(refused, CannotOpen):
            raise AccessEnded(AccessReason.TOKEN_UNREADABLE) from None
        raise
    return tokens.access_token


def _free(connection_id: str, lease: str) -> None:
    """Give the lease back, whatever the epoch is by now: a disconnection must not wait for a refresh that has ended.

    As part of the caller's transaction, and before `tell` in it: a Reconnect takes their rows in this order, too.
    """
    db.session.execute(
        update(Connection)
        .where(Connection.id == connection_id, Connection.refresh_lease == lease)
        .values(refresh_lease=None, refresh_lease_until=None)
        .execution_options(synchronize_session=False)
    )


def provider_of(connection_id: str) -> Provider:
    """The provider behind a connection; ends the short read it needs."""
    connection = db.session.get(Connection, connection_id)
    slug = connection.integration if connection else ""
    db.session.rollback()
    if slug not in parts().providers:
        raise Fenced(connection_id)
    return parts().providers[slug]


def dispose(provider: Provider, tokens: Tokens) -> bool:
    """Get rid of tokens that may not be kept: revoked where the vendor can (RFC 7009), else dropped. True: revoked."""
    try:
        if not provider.can_revoke():
            return False
        if tokens.refresh_token:
            provider.revoke(tokens.refresh_token, REFRESH)
        provider.revoke(tokens.access_token, ACCESS)
    except ProviderError:
        logger.warning("tokens won after the fence could not be revoked; they were dropped")
        return False
    return True


def needs_attention(connection_id: str, epoch: int, reason: AccessReason) -> None:
    """Mark a connection whose access ended at the vendor's side, with the true reason. A fenced one stays fenced."""
    try:
        with writing(connection_id, epoch, CONNECTED, NEEDS_ATTENTION) as connection:
            if connection.state == CONNECTED:
                connection.attention_at = clock.now()
            connection.state, connection.attention_reason = NEEDS_ATTENTION, reason.value
            connection.sync_wanted_at = connection.sync_note = None
            connection.sync_lease = connection.sync_lease_until = None
            live.tell(db.session(), live.member(connection.member_id), "live-connections")
    except Fenced:
        pass

"""Connect an account: leave for the vendor with secrets kept here, come back, and begin to sync."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import select

from portal import clock, durable, live
from portal.db import db
from portal.models import Connection, Member
from portal.models.connection import CONNECTED, CONNECTING, DISCONNECTING, NEEDS_ATTENTION
from portal.parts import parts
from portal.providers.base import (
    Account,
    AccountKind,
    Grant,
    OurFault,
    ProviderError,
    SignInReason,
    SignInRefused,
    Unreachable,
)
from portal.vault import KeysAway
from portal.workflows import approval, counters, sign_in_attempts, tokens
from portal.workflows.activity import record
from portal.workflows.epoch import Fenced, writing
from portal.workflows.not_now import NotNow

logger = logging.getLogger("portal.connect")


class StillDisconnecting(Exception):
    """The account is being disconnected at this moment: connect again when that has ended."""


class WrongAccount(Exception):
    """A Reconnect came back with another account than the one it was meant to mend."""


def start(member_id: str, integration: str, browser: str, *, replaces: Connection | None = None) -> str:
    """Begin a sign-in: make a `connecting` row with its sealed secrets; returns the address to send the browser to.

    `browser` names the browser session, so that the answer is accepted only where the question was asked. Raises
    StillDisconnecting when what is to be mended is on its way out, and NotNow.
    """
    provider = parts().providers[integration]
    hint, replaces_id = (replaces.account_address or "", replaces.id) if replaces else ("", None)
    db.session.rollback()
    sign_in = provider.begin_sign_in(parts().settings.redirect_uri, login_hint=hint, choose_account=not hint)
    sign_in_attempts.forget_abandoned(member_id)
    if replaces_id is not None:
        _stays(replaces_id)
    sign_in_attempts.begin(member_id, integration, browser, sign_in, replaces_id=replaces_id)
    return sign_in.url


def _stays(connection_id: str) -> None:
    """Hold what a Reconnect is to mend, in the caller's transaction: after a fence nothing may point to it any more."""
    living = select(Connection.id).where(
        Connection.id == connection_id, Connection.state.in_((CONNECTED, NEEDS_ATTENTION))
    )
    if db.session.scalar(living.with_for_update()) is None:
        db.session.rollback()
        raise StillDisconnecting


def finish(member_id: str, integration: str, browser: str, answer: Mapping[str, str]) -> Connection:
    """Judge the vendor's answer and connect.

    Raises SignInRefused, StillDisconnecting, WrongAccount, NotNow and ProviderError.
    """
    attempt_id, epoch, mended_id, secrets = sign_in_attempts.redeem(
        member_id, integration, browser, answer.get("state", "")
    )
    provider = parts().providers[integration]
    try:
        grant = provider.finish_sign_in(parts().settings.redirect_uri, answer, **secrets)
        try:
            return _settle(attempt_id, epoch, grant)
        except (Fenced, StillDisconnecting, WrongAccount, KeysAway) as refused:
            if not tokens.dispose(provider, grant.tokens):
                _tell_running(member_id, integration, grant, mended_id)
            counters.add("tokens_disposed")
            if isinstance(refused, Fenced):
                raise SignInRefused(SignInReason.EXPIRED) from None
            if isinstance(refused, KeysAway):
                raise NotNow from None
            raise
    except ProviderError as error:
        lives_until = error.dropped_until
        if lives_until is None and isinstance(error, Unreachable):  # perhaps issued in an answer that was lost
            lives_until = clock.now() + tokens.LONGEST_LIFE
        if lives_until is not None and mended_id is not None:
            tokens.tell(mended_id, lives_until)
            db.session.commit()
        if isinstance(error, OurFault):
            logger.critical("a sign-in could not be finished: our registration has a problem %s", error.request_id)
            counters.add("our_faults")
        raise
    finally:
        sign_in_attempts.drop(attempt_id)


def _tell_running(member_id: str, integration: str, grant: Grant, mended_id: str | None) -> None:
    """Tokens that a sign-in won and dropped stand on the receipt of the disconnection that made it drop them.

    When that has ended meanwhile, nothing but the attempt itself says which connection a Reconnect was to mend.
    """
    running = select(Connection.id).where(
        Connection.member_id == member_id,
        Connection.integration == integration,
        Connection.account_tenant == grant.account.tenant,
        Connection.account_subject == grant.account.subject,
    )
    for connection_id in {*db.session.scalars(running), *([mended_id] if mended_id else [])}:
        tokens.tell(connection_id, grant.tokens.expires_at)
    db.session.commit()


def _settle(attempt_id: str, epoch: int, grant: Grant) -> Connection:
    """Write the connection in one transaction: a new one, or the member's own one to this account, mended."""
    with writing(attempt_id, epoch, CONNECTING) as attempt:
        # Two sign-ins of one member to one account settle one after the other: the second finds what the first made.
        db.session.execute(select(Member.id).where(Member.id == attempt.member_id).with_for_update(key_share=True))
        own = db.session.scalar(
            select(Connection)
            .where(
                Connection.member_id == attempt.member_id,
                Connection.integration == attempt.integration,
                Connection.account_tenant == grant.account.tenant,
                Connection.account_subject == grant.account.subject,
                Connection.state.in_((CONNECTED, NEEDS_ATTENTION, DISCONNECTING)),
            )
            .with_for_update()
        )
        if own is not None and own.state == DISCONNECTING:
            raise StillDisconnecting
        if attempt.replaces_id and (own is None or own.id != attempt.replaces_id):
            raise WrongAccount
        connection = own or attempt
        approval.forget(attempt.member_id, attempt.integration)
        if own is not None:
            own.epoch += 1  # whatever still works with the old tokens finds its writes refused
            db.session.delete(attempt)
        _describe(connection, grant.account)
        tokens.keep(connection, grant.tokens, signed_in=True)
        _want_sync(connection)
        record("connection:connect", member_id=connection.member_id, connection_id=connection.id)
    return connection


def _describe(connection: Connection, account: Account) -> None:
    connection.state = CONNECTED
    connection.account_tenant, connection.account_subject = account.tenant, account.subject
    connection.account_address, connection.account_name = account.address[:254], account.name[:200]
    connection.account_kind = AccountKind(account.kind).value
    connection.connected_at = connection.connected_at or clock.now()
    connection.attention_reason = connection.attention_at = None
    tokens.let_go(connection)
    connection.sync_lease = connection.sync_lease_until = None
    connection.sign_in_browser = connection.sign_in_expires_at = connection.replaces_id = None


def _want_sync(connection: Connection) -> None:
    connection.sync_wanted_at, connection.sync_note = clock.now(), "Waiting for the first calendars"
    db.session.flush()
    durable.enqueue(db.session(), "sync", connection.id)
    live.tell(db.session(), live.member(connection.member_id), "live-connections")

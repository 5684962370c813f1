"""A sign-in at the vendor that is under way: spent once, ended by a disconnection, dropped when nothing comes of it."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import timedelta

from sqlalchemy import delete, select, update

from portal import clock, durable
from portal.db import db
from portal.models import Connection
from portal.models.connection import CONNECTING
from portal.parts import parts
from portal.providers.base import SignIn, SignInReason, SignInRefused
from portal.vault import CannotOpen, KeysAway
from portal.workflows.not_now import NotNow

SIGN_IN_LIFE = timedelta(minutes=10)
PURPOSE = "sign-in"


def begin(member_id: str, integration: str, browser: str, sign_in: SignIn, *, replaces_id: str | None) -> None:
    """Keep a `connecting` row with the sealed secrets, and end the caller's transaction. Raises NotNow."""
    attempt = Connection(member_id=member_id, integration=integration, state=CONNECTING, replaces_id=replaces_id)
    db.session.add(attempt)
    db.session.flush()
    attempt.sign_in_state_hash = _hash(sign_in.state)
    attempt.sign_in_browser = _hash(browser)
    attempt.sign_in_expires_at = clock.now() + SIGN_IN_LIFE
    secrets = {"state": sign_in.state, "nonce": sign_in.nonce, "code_verifier": sign_in.code_verifier}
    try:
        attempt.sign_in_sealed = parts().vault.seal(attempt.id, PURPOSE, json.dumps(secrets))
    except KeysAway:
        db.session.rollback()
        raise NotNow from None
    db.session.commit()


def redeem(member_id: str, integration: str, browser: str, state: str) -> tuple[str, int, str | None, dict[str, str]]:
    """Spend the attempt, whatever comes of it: a second use of the same state finds nothing.

    Returns its id, its epoch, the connection that it is to mend, and its secrets.
    """
    attempt = db.session.scalar(
        select(Connection)
        .where(
            Connection.sign_in_state_hash == _hash(state),
            Connection.sign_in_browser == _hash(browser),
            Connection.member_id == member_id,
            Connection.integration == integration,
            Connection.state == CONNECTING,
            Connection.sign_in_expires_at > clock.now(),
        )
        .with_for_update()
    )
    if attempt is None or attempt.sign_in_sealed is None:
        db.session.rollback()
        raise SignInRefused(SignInReason.EXPIRED)
    sealed, epoch, attempt_id = attempt.sign_in_sealed, attempt.epoch, attempt.id
    mended_id = attempt.replaces_id
    attempt.sign_in_state_hash = attempt.sign_in_sealed = None
    db.session.commit()
    try:
        secrets: dict[str, str] = json.loads(parts().vault.open(attempt_id, PURPOSE, sealed))
    except (CannotOpen, KeysAway) as unread:
        drop(attempt_id)
        if isinstance(unread, KeysAway):
            raise NotNow from None
        raise SignInRefused(SignInReason.EXPIRED) from None
    return attempt_id, epoch, mended_id, secrets


def cancel(connection_id: str) -> None:
    """A disconnection ends every Reconnect on its way to the same connection, as part of the caller's transaction."""
    db.session.execute(
        update(Connection)
        .where(Connection.replaces_id == connection_id, Connection.state == CONNECTING)
        .values(epoch=Connection.epoch + 1, sign_in_state_hash=None, sign_in_sealed=None)
    )


def drop(attempt_id: str) -> None:
    """An attempt that did not become a connection leaves nothing behind, its key included."""
    db.session.rollback()
    db.session.execute(delete(Connection).where(Connection.id == attempt_id, Connection.state == CONNECTING))
    still_there = db.session.scalar(select(Connection.id).where(Connection.id == attempt_id))
    db.session.commit()
    if still_there is None:
        _destroy([attempt_id])


def forget_abandoned(member_id: str | None = None) -> int:
    """Remove sign-ins that nobody came back from in time; returns how many."""
    old = select(Connection.id).where(
        Connection.state == CONNECTING, Connection.created_at < clock.now() - SIGN_IN_LIFE
    )
    if member_id:
        old = old.where(Connection.member_id == member_id)
    # Only keys of rows that this very statement deleted are destroyed: one of them may be settling at this moment.
    dropped = delete(Connection).where(Connection.id.in_(old), Connection.state == CONNECTING).returning(Connection.id)
    ids = list(db.session.scalars(dropped, execution_options={"synchronize_session": False}))
    db.session.commit()
    _destroy(ids)
    return len(ids)


@durable.every("forget_abandoned", "*/10 * * * *")
def forget_all_abandoned() -> None:
    """Sweep up half-made sign-ins of everybody."""
    forget_abandoned()


def _destroy(attempts: list[str]) -> None:
    """Destroy the keys of attempts whose rows are gone. What an outage leaves the daily watch finds."""
    with suppress(KeysAway):
        for attempt_id in attempts:
            parts().vault.destroy(attempt_id)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""Withdraw our access where the vendor allows it, and find out whether our old token is still honoured."""

from __future__ import annotations

from datetime import datetime

from portal import clock
from portal.db import db
from portal.models import Token
from portal.models.disconnection_step import DONE, EXPIRES, FAILED, LEFT_TO_YOU
from portal.parts import parts
from portal.providers.base import AccessEnded, AccountKind, Unreachable
from portal.workflows import tokens, withdraw_consent
from portal.workflows.promise import Ended, Work, by, count_of


def withdraw_access(work: Work) -> Ended:
    """Withdraw our access.

    We revoke our tokens where the provider allows it. Microsoft does not, so there the last word is yours: we show
    you the page on which you remove Coordinoter. If your business's administrator asked for it, we remove a work
    account's permission ourselves, with a short-lived key that is never stored.
    """
    provider = work.provider()
    if not provider.can_revoke():
        return withdraw_consent.withdraw(work, provider)
    revoked = 0
    for purpose, secret in _stored(work.row().connection_id):
        provider.revoke(secret, purpose)
        revoked += 1
    if not revoked:
        return Ended(DONE, "There was no readable token left to revoke.", 0)
    return Ended(DONE, f"{count_of(revoked, 'token')} revoked at the provider.", revoked)


def try_the_old_token(work: Work) -> Ended:
    """Try the old token.

    We ask once more with our old token: is our access still honoured? Whatever we are given is thrown away unstored.
    """
    connection_id = work.row().connection_id
    _tell_of_tries_that_died(work)
    lapses_at = work.row().lapses_at
    secret = dict(_stored(connection_id)).get(tokens.REFRESH)
    provider = work.provider()
    if secret is None:
        return _tail(lapses_at, "There was no readable token left to try.")
    try:
        won = provider.refresh(secret)
    except AccessEnded as ended:
        return _tail(lapses_at, "Microsoft did not accept our old token any more.", ended.request_id)
    except Unreachable:  # a token may have been issued in an answer that was lost on its way
        tokens.tell(connection_id, clock.now() + tokens.LONGEST_LIFE)
        db.session.commit()
        raise
    if tokens.dispose(provider, won):
        return _tail(lapses_at, "The provider still honoured our old token; what it gave us was revoked at once.")
    tokens.tell(connection_id, won.expires_at)
    lapses_at = max(work.row().lapses_at or won.expires_at, won.expires_at)
    db.session.commit()
    return Ended(
        EXPIRES,
        "Microsoft still honours the permission that was given. What it issued to us stays valid there, but we keep no "
        f"copy: access tokens lapse by {by(lapses_at)}; refresh tokens when the permission is removed, or after 90 "
        "days without use.",
    )


def give_up_withdrawing(work: Work, trouble: str) -> Ended:
    """Not withdrawn in time: the person can do it without us."""
    row = work.row()
    page = parts().providers[row.integration].consent_page(AccountKind(row.account_kind))
    gone = work.done_before(withdraw_access.__name__)
    what = "the rest was" if gone else "our access was"
    # Each try that was let in was given a key, whatever came after.
    key = f" {withdraw_consent.FORGOTTEN}" if gone or withdraw_consent.is_asked_for(work) else ""
    others = f" {withdraw_consent.SHARED_TOO}" if withdraw_consent.is_shared(work) else ""
    told = f"{withdraw_consent.removed(gone)}We have no word that {what} withdrawn; you can remove it."
    detail = f"{trouble} {told}{others}{key}"
    return Ended(LEFT_TO_YOU, detail, gone or None, link=page.url, link_title=page.title)


def give_up_trying(work: Work, trouble: str) -> Ended:
    """Not found out in time: what was issued before lapses by itself."""
    _tell_of_tries_that_died(work)
    lapses_at = work.row().lapses_at
    until = f" Access tokens that were issued to us lapse by {by(lapses_at)}." if lapses_at else ""
    return Ended(FAILED, f"{trouble} We could not ask whether our old token still works.{until}")


def _tell_of_tries_that_died(work: Work) -> None:
    """An earlier try of some step may have been issued a token, and have died before it could say until when."""
    row = work.row()
    if any(step.attempts > 1 for step in row.steps):
        tokens.tell(row.connection_id, clock.now() + tokens.LONGEST_LIFE)
    db.session.commit()


def _stored(connection_id: str) -> list[tuple[str, str]]:
    """The readable tokens of a connection: refresh token first (RFC 7009 section 2.1 ends its access tokens too)."""
    row = db.session.get(Token, connection_id)
    sealed = [(tokens.REFRESH, row.refresh_sealed), (tokens.ACCESS, row.access_sealed)] if row else []
    db.session.rollback()
    found = []
    for purpose, text in sealed:
        try:
            found.append((purpose, tokens.open_sealed(connection_id, purpose, text)))
        except AccessEnded:
            continue
    return found


def _tail(lapses_at: datetime | None, found: str, request_id: str = "") -> Ended:
    ids = [request_id] if request_id else []
    if lapses_at is None or lapses_at <= clock.now():
        return Ended(DONE, f"{found} No access token that reached us is alive.", request_ids=ids)
    until = f"The last access token that was issued to us lapses by {by(lapses_at)}."
    return Ended(EXPIRES, f"{found} {until}", request_ids=ids)


def tell_of_later_ones(work: Work) -> None:
    """In the caller's transaction, at the very end: a token may have reached us after the step had its words."""
    row = work.row()
    tried = next(step for step in row.steps if step.name == try_the_old_token.__name__)
    if row.lapses_at is None or row.lapses_at <= clock.now() or by(row.lapses_at) in tried.detail:
        return
    tried.detail += f" One that may have been issued later lapses by {by(row.lapses_at)}."
    tried.outcome = EXPIRES if tried.outcome == DONE else tried.outcome

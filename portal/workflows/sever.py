"""The remote steps of a disconnection: what we ask Microsoft to end, and what we find out about our old access."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import delete, select

from portal import clock
from portal.db import db
from portal.models import Disconnection, Subscription, Token
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, EXPIRES, FAILED, LEFT_TO_YOU
from portal.parts import parts
from portal.providers.base import AccessEnded, AccountKind, Gone, Provider
from portal.workflows import tokens
from portal.workflows.epoch import writing


@dataclass(frozen=True)
class Ended:
    """How a step ended. `detail` is one sentence for people; it names no mailbox."""

    outcome: str
    detail: str
    count: int | None = None
    request_ids: list[str] = field(default_factory=list)
    link: str | None = None
    link_title: str | None = None


class Work:
    """One disconnection at work: which connection, at which epoch, with which provider. Holds no secret."""

    def __init__(self, disconnection_id: str) -> None:
        self.id = disconnection_id

    def row(self) -> Disconnection:
        """The disconnection's row, in the current transaction."""
        return db.session.get_one(Disconnection, self.id)

    def provider(self) -> Provider:
        """The vendor behind it; ends the short read it needs."""
        slug = self.row().integration
        db.session.rollback()
        return parts().providers[slug]

    def with_access(self, call: Callable[[str], object]) -> None:
        """Do `call(access_token)`: the running disconnection alone may still use, and refresh, the tokens."""
        row = self.row()
        connection_id, epoch = row.connection_id, row.epoch
        db.session.rollback()
        tokens.with_access(connection_id, epoch, call, states=(DISCONNECTING,))


Promise = Callable[[Work], Ended]


def end_notifications(work: Work) -> Ended:
    """End notifications.

    Microsoft stops telling us about changes: our subscriptions to your calendar are deleted there.
    """
    connection_id = work.row().connection_id
    known = dict(
        db.session.execute(
            select(Subscription.provider_id, Subscription.expires_at).where(Subscription.connection_id == connection_id)
        ).all()
    )
    others = set(
        db.session.scalars(select(Subscription.provider_id).where(Subscription.connection_id != connection_id))
    )
    provider, deleted, request_ids = work.provider(), set[str](), list[str]()

    def end_them(access: str) -> None:
        held = {
            each.id for each in provider.subscriptions(access) if each.notification_url == parts().settings.webhook_url
        }
        for subscription_id in sorted((held - others) | set(known)):
            if subscription_id in deleted:
                continue
            try:
                request_ids.append(provider.unsubscribe(access, subscription_id))
            except Gone as gone:
                request_ids.append(gone.request_id)
            deleted.add(subscription_id)

    try:
        work.with_access(end_them)
    except AccessEnded as ended:
        return _lapsing(work, known, ended)
    row = work.row()
    with writing(row.connection_id, row.epoch, DISCONNECTING):
        db.session.execute(delete(Subscription).where(Subscription.connection_id == connection_id))
    ids = [each for each in request_ids if each]
    if not deleted:
        return Ended(DONE, "Microsoft held no subscription of ours.", 0, ids)
    return Ended(DONE, f"{_count(len(deleted), 'subscription')} deleted at Microsoft.", len(deleted), ids)


def withdraw_access(work: Work) -> Ended:
    """Withdraw our access.

    We revoke our tokens where the provider allows it. Microsoft does not, so there the last word is yours: we show
    you the page on which you remove Coordinoter.
    """
    provider, row = work.provider(), work.row()
    kind = AccountKind(row.account_kind)
    if not provider.can_revoke():
        page = provider.consent_page(kind)
        if kind is AccountKind.PERSONAL:
            detail = "Microsoft lets only you remove Coordinoter's permission from your account."
        else:
            detail = (
                "Microsoft lets only you remove Coordinoter's permission, or your administrator, "
                "if your organisation approved it for everyone."
            )
        return Ended(LEFT_TO_YOU, detail, link=page.url, link_title=page.title)
    revoked = 0
    for purpose, secret in _stored(row.connection_id):
        provider.revoke(secret, purpose)
        revoked += 1
    if not revoked:
        return Ended(DONE, "There was no readable token left to revoke.", 0)
    return Ended(DONE, f"{_count(revoked, 'token')} revoked at the provider.", revoked)


def try_the_old_token(work: Work) -> Ended:
    """Try the old token.

    We ask once more with our old token: is our access still honoured? Whatever we are given is thrown away unstored.
    """
    row = work.row()
    connection_id, lapses_at = row.connection_id, row.lapses_at
    secret = dict(_stored(connection_id)).get(tokens.REFRESH)
    provider = work.provider()
    if secret is None:
        return _tail(lapses_at, "There was no readable token left to try.")
    try:
        won = provider.refresh(secret)
    except AccessEnded as ended:
        return _tail(lapses_at, "Microsoft did not accept our old token any more.", ended.request_id)
    if tokens.dispose(provider, won):
        return _tail(lapses_at, "The provider still honoured our old token; what it gave us was revoked at once.")
    row = work.row()
    row.lapses_at = max(row.lapses_at or won.expires_at, won.expires_at)
    lapses_at = row.lapses_at
    db.session.commit()
    return Ended(
        EXPIRES,
        "Microsoft still honours the permission you gave. What it issued to us stays valid there, but we keep no copy: "
        f"access tokens lapse by {_at(lapses_at)}; refresh tokens when you remove the permission, or after 90 days "
        "without use.",
    )


def give_up(work: Work, name: str, trouble: str) -> Ended:
    """The outcome of a remote step whose time has run out: what could not be done, and when it lapses by itself."""
    row = work.row()
    if name == "end_notifications":
        ends = db.session.scalars(
            select(Subscription.expires_at).where(Subscription.connection_id == row.connection_id)
        ).all()
        if not ends:
            return Ended(FAILED, f"{trouble} We could not look for subscriptions; any of ours ends within 2 days.")
        row.subscription_ends_at = max(ends)
        return Ended(
            EXPIRES,
            f"{trouble} Our subscription could not be deleted; it ends by itself at {_at(max(ends))}. "
            "What it sends until then is thrown away.",
            len(ends),
        )
    if name == "withdraw_access":
        page = parts().providers[row.integration].consent_page(AccountKind(row.account_kind))
        detail = f"{trouble} We could not withdraw our access; you can."
        return Ended(LEFT_TO_YOU, detail, link=page.url, link_title=page.title)
    until = f" Access tokens issued to us lapse by {_at(row.lapses_at)}." if row.lapses_at else ""
    return Ended(FAILED, f"{trouble} We could not ask whether our old token still works.{until}")


def _lapsing(work: Work, known: dict[str, datetime], ended: AccessEnded) -> Ended:
    """Without a living token nothing can be deleted: tell when what we know of ends by itself."""
    living = [expires for expires in known.values() if expires > clock.now()]
    ids = [ended.request_id] if ended.request_id else []
    if not living:
        return Ended(DONE, "Microsoft no longer lets us in, and no subscription of ours is alive there.", 0, ids)
    work.row().subscription_ends_at = max(living)
    db.session.commit()
    return Ended(
        EXPIRES,
        f"Microsoft no longer lets us in, so we could not delete our subscription. It ends by itself at "
        f"{_at(max(living))}; what it sends until then is thrown away.",
        len(living),
        ids,
    )


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
        return Ended(DONE, f"{found} No access token issued to us is alive.", request_ids=ids)
    return Ended(EXPIRES, f"{found} The last access token issued to us lapses by {_at(lapses_at)}.", request_ids=ids)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%-d %B %Y, %H:%M UTC")

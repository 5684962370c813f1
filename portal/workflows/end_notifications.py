"""End the vendor's notifications: delete our subscriptions there, or tell when they end by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select

from portal.db import db
from portal.models import Disconnection, Subscription
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, EXPIRES, FAILED
from portal.parts import parts
from portal.providers.base import AccessEnded, Gone
from portal.workflows import late
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, at, count_of
from portal.workflows.subscribe import LIFE


def end_notifications(work: Work) -> Ended:
    """End notifications.

    Microsoft stops telling us about changes: our subscriptions to your calendar are deleted there.
    """
    late.remember(work)
    connection_id = work.row().connection_id
    known = dict(
        db.session.execute(
            select(Subscription.provider_id, Subscription.expires_at).where(Subscription.connection_id == connection_id)
        ).all()
    )
    provider, deleted, request_ids = work.provider(), set[str](), list[str]()

    def end_them(access: str) -> None:
        held = {
            each.id for each in provider.subscriptions(access) if each.notification_url == parts().settings.webhook_url
        }
        for subscription_id in sorted((held - _of_others(connection_id, held)) | set(known)):
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
    return Ended(DONE, f"{count_of(len(deleted), 'subscription')} deleted at Microsoft.", len(deleted), ids)


def _of_others(connection_id: str, held: set[str]) -> set[str]:
    """Those of these that another connection to the same account relies on."""
    relied_on = select(Subscription.provider_id).where(
        Subscription.connection_id != connection_id, Subscription.provider_id.in_(held)
    )
    found = set(db.session.scalars(relied_on))
    db.session.rollback()
    return found


def give_up(work: Work, trouble: str) -> Ended:
    """Not deleted in time: say when what we know of ends by itself."""
    row = work.row()
    ends = db.session.scalars(
        select(Subscription.expires_at).where(Subscription.connection_id == row.connection_id)
    ).all()
    until = row.subscription_ends_at = _latest(row, ends)
    if not ends:
        return Ended(FAILED, f"{trouble} We could not look for subscriptions; any of ours ends by {at(until)}.")
    return Ended(
        EXPIRES,
        f"{trouble} We have no word that our subscription was deleted; it ends by itself by {at(until)}. "
        "What it sends until then is thrown away.",
        len(ends),
    )


def _lapsing(work: Work, known: dict[str, datetime], ended: AccessEnded) -> Ended:
    """Without a living token nothing can be deleted: tell when what we know of ends by itself."""
    row = work.row()
    until = row.subscription_ends_at = _latest(row, known.values())
    db.session.commit()
    ids = [ended.request_id] if ended.request_id else []
    if not known:
        detail = f"We know of no subscription of ours there; one that we were never told of ends by {at(until)}."
        return Ended(DONE, f"Microsoft no longer lets us in. {detail}", 0, ids)
    return Ended(
        EXPIRES,
        f"Microsoft no longer lets us in, so we could not delete our subscription. It ends by itself by "
        f"{at(until)}; what it sends until then is thrown away.",
        len(known),
        ids,
    )


def _latest(row: Disconnection, ends: Iterable[datetime]) -> datetime:
    """By when every subscription of ours has ended by itself.

    That is what we know, unless one may be missing from it, or a renewal whose answer was lost: then it is what the
    last call before the click can have asked for.
    """
    known = list(ends)
    due = db.session.scalars(select(Subscription.renew_at).where(Subscription.connection_id == row.connection_id)).all()
    if known and all(renew_at > row.started_at for renew_at in due):
        return max(known)  # too young for a renewal to have been tried
    return max([row.started_at + LIFE, *known])

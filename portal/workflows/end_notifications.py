"""End the vendor's notifications: delete our subscriptions there, or tell when they end by themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select

from portal import clock
from portal.db import db
from portal.models import Subscription
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, EXPIRES, FAILED
from portal.parts import parts
from portal.providers.base import AccessEnded, Gone
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, at, count_of


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
    return Ended(DONE, f"{count_of(len(deleted), 'subscription')} deleted at Microsoft.", len(deleted), ids)


def give_up(work: Work, trouble: str) -> Ended:
    """Not deleted in time: say when what we know of ends by itself."""
    row = work.row()
    ends = db.session.scalars(
        select(Subscription.expires_at).where(Subscription.connection_id == row.connection_id)
    ).all()
    if not ends:
        return Ended(FAILED, f"{trouble} We could not look for subscriptions; any of ours ends within 2 days.")
    row.subscription_ends_at = max(ends)
    return Ended(
        EXPIRES,
        f"{trouble} Our subscription could not be deleted; it ends by itself at {at(max(ends))}. "
        "What it sends until then is thrown away.",
        len(ends),
    )


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
        f"{at(max(living))}; what it sends until then is thrown away.",
        len(living),
        ids,
    )

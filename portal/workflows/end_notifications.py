"""End the vendor's notifications: delete our subscriptions there. If not, `subscriptions_left` tells of them."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db
from portal.models import Subscription
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE
from portal.models.subscription import DELETED, LAPSED, MISSING
from portal.providers.base import AccessEnded, Gone, ProviderError
from portal.providers.base import Subscription as HeldThere
from portal.workflows import at_once, intent, late, subscribe, subscriptions_left
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work
from portal.workflows.subscribe import LIFE

LEFT_FOR_OTHERS = "Another connection here uses the same mailbox; its subscription at Microsoft was left for it."


def end_notifications(work: Work) -> Ended:
    """End notifications.

    Microsoft stops telling us about changes: our subscriptions to your calendar are deleted there.
    """
    late.remember(work)
    connection_id = work.row().connection_id
    known = subscriptions_left.those_known(connection_id)
    provider, request_ids = work.provider(), list[str]()
    gone: dict[str, str] = {}  # how each ended that is no more
    for_others: set[str] = set()
    refused: dict[str, ProviderError] = {}

    def end_them(access: str) -> None:
        # What we know of goes first: it must not wait for the answer to whether there are others.
        end_these(access, known.keys() - gone.keys(), listed=False)
        found = subscribe.ours(provider.subscriptions(access))
        for mark in subscribe.relied_on_by_others(connection_id, found):
            for_others.add(found.pop(mark).id)
        _note_found(work, found)
        there = {each.id for each in found.values() if gone.get(each.id) != DELETED}
        for subscription_id in there:
            gone.pop(subscription_id, None)  # it was said to be gone, and is not
        end_these(access, there, listed=True)  # once more also what was refused
        for error in refused.values():
            raise error

    def end_these(access: str, these: set[str], *, listed: bool) -> None:
        def end(subscription_id: str) -> None:
            try:
                request_ids.append(provider.unsubscribe(access, subscription_id))
                gone[subscription_id] = DELETED
            except Gone as error:  # perhaps because the answer to an earlier try was lost: nobody can say
                request_ids.append(error.request_id)
                is_over = subscription_id in known and known[subscription_id] <= clock.now()
                gone[subscription_id] = LAPSED if is_over and not listed else MISSING

        for subscription_id in these:
            refused.pop(subscription_id, None)
        trouble = at_once.for_each(sorted(these), end, is_over=work.is_over, refused=refused)
        trouble = trouble or next((error for error in refused.values() if not at_once.is_forbidden(error)), None)
        if trouble is not None:
            raise trouble

    try:
        work.with_access(end_them)
        if any(intent.is_open(ends - LIFE) for ends in subscriptions_left.those_unanswered(connection_id)):
            raise intent.StillOpen
    except AccessEnded as shut:
        _note_ended(work, gone, request_ids)
        return subscriptions_left.lapsing(work, shut)
    except Exception:
        _note_ended(work, gone, request_ids)
        raise
    _note_ended(work, gone, list(request_ids), all_of_them=True)
    # What an earlier try ended counts too: also one that died before it could say so.
    ended = gone | subscriptions_left.those_ended(connection_id)
    db.session.rollback()
    told = subscriptions_left.what_went(ended)
    if for_others:
        told.append(LEFT_FOR_OTHERS)
    detail = " ".join(told) or "Microsoft held no subscription of ours."
    deleted = list(ended.values()).count(DELETED)
    return Ended(DONE, detail, deleted, [each for each in request_ids if each])


def _note_found(work: Work, found: dict[str, HeldThere]) -> None:
    """Write down what is there and was not known: lost answers, strays, what was said to be gone before and is not.

    A repeated try, or giving up, tells of them.
    """
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    rows = select(Subscription.provider_id).where(Subscription.connection_id == connection_id)
    known = set(db.session.scalars(rows.where(Subscription.ended_how.is_(None))))
    db.session.rollback()
    if all(held.id in known for held in found.values()):
        return
    with writing(connection_id, epoch, DISCONNECTING):
        # A stray may have been written down by another disconnection from the same mailbox.
        there = [held.id for held in found.values()]
        known = set(db.session.scalars(select(Subscription.provider_id).where(Subscription.provider_id.in_(there))))
        no_answer = rows.with_only_columns(Subscription.id).where(subscriptions_left.NO_ANSWER)
        unanswered = set(db.session.scalars(no_answer))
        for mark, held in found.items():
            if mark in unanswered:
                values = {"provider_id": held.id, "expires_at": held.expires_at}
                db.session.execute(update(Subscription).where(Subscription.id == mark).values(values))
            elif held.id in known:
                again = Subscription.provider_id == held.id, Subscription.ended_how.is_not(None)
                ours = update(Subscription).where(Subscription.connection_id == connection_id, *again)
                db.session.execute(ours.values(ended_how=None, expires_at=held.expires_at))
            else:
                db.session.add(
                    Subscription(
                        connection_id=connection_id,
                        provider_id=held.id,
                        expires_at=held.expires_at,
                        renew_at=held.expires_at,
                    )
                )


def _note_ended(work: Work, gone: dict[str, str], request_ids: list[str], *, all_of_them: bool = False) -> None:
    """Keep what this try did, although it did not do all. When it did, what was never answered came to nothing.

    The rows stay until the copies are erased: a try that dies before the step has its outcome loses no word of it.
    """
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    db.session.rollback()
    if not gone and not all_of_them:
        return
    with writing(connection_id, epoch, DISCONNECTING):
        of_this = Subscription.connection_id == connection_id
        for subscription_id, how in gone.items():
            # What a twin of this run found missing was deleted by this one, and the other way round.
            this = of_this, Subscription.provider_id == subscription_id
            unless = () if how == DELETED else (Subscription.ended_how.is_(None),)
            db.session.execute(update(Subscription).where(*this, *unless).values(ended_how=how))
        if all_of_them:
            db.session.execute(delete(Subscription).where(of_this, subscriptions_left.NO_ANSWER))
        work.note_requests(end_notifications.__name__, request_ids)
    request_ids.clear()

"""End the vendor's notifications: delete our subscriptions there. If not, `subscriptions_left` tells of them."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db
from portal.models import Subscription
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE
from portal.providers.base import AccessEnded, Gone, ProviderError
from portal.providers.base import Subscription as HeldThere
from portal.workflows import at_once, intent, late, subscribe, subscriptions_left
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, count_of
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
    lapsed: dict[str, bool] = {}  # of each that is no more: whether it had ended by itself
    deleted_now: set[str] = set()
    for_others: set[str] = set()
    refused: dict[str, ProviderError] = {}
    not_there: set[str] = set()
    asked_in_vain: set[str] = set()

    def end_them(access: str) -> None:
        # What we know of goes first: it must not wait for the answer to whether there are others.
        end_these(access, known.keys() - lapsed.keys(), set())
        found = subscribe.ours(provider.subscriptions(access))
        for mark in subscribe.relied_on_by_others(connection_id, found):
            for_others.add(found.pop(mark).id)
        _note_found(work, found)
        there = {each.id for each in found.values()}
        for subscription_id in there - deleted_now:
            lapsed.pop(subscription_id, None)  # it was said to be gone, and is not
            not_there.discard(subscription_id)
        end_these(access, there - deleted_now, there)  # once more also what was refused
        for error in refused.values():
            raise error

    def end_these(access: str, these: set[str], there: set[str]) -> None:
        def end(subscription_id: str) -> None:
            try:
                request_ids.append(provider.unsubscribe(access, subscription_id))
                deleted_now.add(subscription_id)
                lapsed[subscription_id] = False
            except Gone as gone:
                request_ids.append(gone.request_id)
                is_over = subscription_id in known and known[subscription_id] <= clock.now()
                lapsed[subscription_id] = is_over and subscription_id not in there
                if subscription_id in known and subscription_id not in there | asked_in_vain:
                    not_there.add(subscription_id)
            except ProviderError:
                asked_in_vain.add(subscription_id)
                raise

        for subscription_id in these:
            refused.pop(subscription_id, None)
        trouble = at_once.for_each(sorted(these), end, is_over=work.is_over, refused=refused)
        trouble = trouble or next((error for error in refused.values() if not at_once.is_forbidden(error)), None)
        if trouble is not None:
            raise trouble

    def settled() -> dict[str, bool]:
        """What is no more. What was not there when it was asked for the first time had ended without us."""
        alone = work.attempts(end_notifications.__name__) <= 1
        return {each: by_itself or (alone and each in not_there) for each, by_itself in lapsed.items()}

    try:
        work.with_access(end_them)
        if any(intent.is_open(ends - LIFE) for ends in subscriptions_left.those_unanswered(connection_id)):
            raise intent.StillOpen
    except AccessEnded as shut:
        _note_ended(work, settled(), request_ids)
        return subscriptions_left.lapsing(work, shut)
    except Exception:
        _note_ended(work, settled(), request_ids)
        raise
    _note_ended(work, settled(), list(request_ids), all_of_them=True)
    # What an earlier try ended counts too: also one that died before it could say so.
    ended = settled() | subscriptions_left.those_ended(connection_id)
    db.session.rollback()
    by_themselves = sum(ended.values())
    deleted = len(ended) - by_themselves
    told = [f"{count_of(deleted, 'subscription')} deleted at Microsoft."] if deleted else []
    if by_themselves:
        told.append(subscriptions_left.lapsed_words(by_themselves, alone=not deleted))
    if for_others:
        told.append(LEFT_FOR_OTHERS)
    detail = " ".join(told) or "Microsoft held no subscription of ours."
    return Ended(DONE, detail, deleted, [each for each in request_ids if each])


def _note_found(work: Work, found: dict[str, HeldThere]) -> None:
    """Write down what is there and was not known: lost answers, strays, what was said to be gone before and is not.

    A repeated try, or giving up, tells of them.
    """
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    rows = select(Subscription.provider_id).where(Subscription.connection_id == connection_id)
    known = set(db.session.scalars(rows.where(Subscription.ended_at.is_(None))))
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
                again = Subscription.provider_id == held.id, Subscription.ended_at.is_not(None)
                ours = update(Subscription).where(Subscription.connection_id == connection_id, *again)
                db.session.execute(ours.values(ended_at=None, expires_at=held.expires_at))
            else:
                db.session.add(
                    Subscription(
                        connection_id=connection_id,
                        provider_id=held.id,
                        expires_at=held.expires_at,
                        renew_at=held.expires_at,
                    )
                )


def _note_ended(work: Work, lapsed: dict[str, bool], request_ids: list[str], *, all_of_them: bool = False) -> None:
    """Keep what this try did, although it did not do all. When it did, what was never answered came to nothing.

    The rows stay until the copies are erased: a try that dies before the step has its outcome loses no word of it.
    """
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    db.session.rollback()
    if not lapsed and not all_of_them:
        return
    with writing(connection_id, epoch, DISCONNECTING):
        of_this = Subscription.connection_id == connection_id
        for subscription_id, by_itself in lapsed.items():
            # What a twin of this run has ended meanwhile was ended by it.
            this = of_this, Subscription.provider_id == subscription_id, Subscription.ended_at.is_(None)
            ended_at = Subscription.expires_at if by_itself else clock.now()
            db.session.execute(update(Subscription).where(*this).values(ended_at=ended_at))
        if all_of_them:
            db.session.execute(delete(Subscription).where(of_this, subscriptions_left.NO_ANSWER))
        work.note_requests(end_notifications.__name__, request_ids)
    request_ids.clear()

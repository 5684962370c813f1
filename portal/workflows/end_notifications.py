"""End the vendor's notifications: delete our subscriptions there, or tell when they end by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db
from portal.models import Disconnection, Subscription
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE, EXPIRES, FAILED
from portal.providers.base import AccessEnded, Gone, ProviderError
from portal.providers.base import Subscription as HeldThere
from portal.workflows import at_once, intent, late, subscribe
from portal.workflows.epoch import writing
from portal.workflows.promise import Ended, Work, by, count_of, shut_out
from portal.workflows.subscribe import LIFE

LEFT_FOR_OTHERS = "Another connection here uses the same mailbox; its subscription at Microsoft was left for it."
THROWN_AWAY = "What it sends until then is thrown away."

_NO_ANSWER = Subscription.provider_id.is_(None)


def end_notifications(work: Work) -> Ended:
    """End notifications.

    Microsoft stops telling us about changes: our subscriptions to your calendar are deleted there.
    """
    late.remember(work)
    connection_id = work.row().connection_id
    known = _known(connection_id)
    provider, request_ids = work.provider(), list[str]()
    lapsed: dict[str, bool] = {}  # of each that is no more: whether it had ended by itself
    deleted_now: set[str] = set()
    for_others: set[str] = set()
    refused: dict[str, ProviderError] = {}

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

        for subscription_id in these:
            refused.pop(subscription_id, None)
        trouble = at_once.for_each(sorted(these), end, is_over=work.is_over, refused=refused)
        trouble = trouble or next((error for error in refused.values() if not at_once.is_forbidden(error)), None)
        if trouble is not None:
            raise trouble

    try:
        work.with_access(end_them)
        if any(intent.is_open(ends - LIFE) for ends in _unanswered(connection_id)):
            raise intent.StillOpen
    except AccessEnded as shut:
        _note_ended(work, lapsed, request_ids)
        return _lapsing(work, shut)
    except Exception:
        _note_ended(work, lapsed, request_ids)
        raise
    row = work.row()
    with writing(row.connection_id, row.epoch, DISCONNECTING):
        # What an earlier try ended counts too, and once: the vendor may still have listed it for this one.
        lapsed |= _ended_before(connection_id)
        db.session.execute(delete(Subscription).where(Subscription.connection_id == connection_id))
    by_themselves = sum(lapsed.values())
    deleted = len(lapsed) - by_themselves
    told = [f"{count_of(deleted, 'subscription')} deleted at Microsoft."] if deleted else []
    if by_themselves:
        told.append(_lapsed(by_themselves, alone=not deleted))
    if for_others:
        told.append(LEFT_FOR_OTHERS)
    detail = " ".join(told) or "Microsoft held no subscription of ours."
    return Ended(DONE, detail, deleted, [each for each in request_ids if each])


def _lapsed(number: int, *, alone: bool) -> str:
    """What the vendor had not any more when we came to delete it, and did not have to have."""
    if number == 1:
        return "Our subscription at Microsoft had ended by itself." if alone else "1 had ended by itself."
    return f"{number} {'subscriptions of ours ' if alone else ''}had ended by themselves."


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
        unanswered = set(db.session.scalars(rows.with_only_columns(Subscription.id).where(_NO_ANSWER)))
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


def _note_ended(work: Work, lapsed: dict[str, bool], request_ids: list[str]) -> None:
    """Keep what this try did, although it did not do all."""
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    db.session.rollback()
    if not lapsed:
        return
    with writing(connection_id, epoch, DISCONNECTING):
        for subscription_id, by_itself in lapsed.items():
            this = Subscription.connection_id == connection_id, Subscription.provider_id == subscription_id
            ended_at = Subscription.expires_at if by_itself else clock.now()
            db.session.execute(update(Subscription).where(*this).values(ended_at=ended_at))
        work.note_requests(end_notifications.__name__, request_ids)
    request_ids.clear()


def _ended_before(connection_id: str) -> dict[str, bool]:
    """The vendor's ids of what earlier tries ended, and whether it had ended by itself."""
    asked = select(Subscription).where(Subscription.connection_id == connection_id)
    rows = db.session.scalars(asked.where(Subscription.ended_at.is_not(None)))
    return {row.provider_id: row.ended_at == row.expires_at for row in rows if row.provider_id is not None}


def _known(connection_id: str) -> dict[str, datetime]:
    """The vendor's ids of what we know to be there, and their ends; the short read is over."""
    asked = select(Subscription.provider_id, Subscription.expires_at).where(Subscription.connection_id == connection_id)
    rows = db.session.execute(asked.where(Subscription.ended_at.is_(None))).all()
    db.session.rollback()
    return {name: ends for name, ends in rows if name is not None}


def _gone(connection_id: str) -> str:
    """What earlier tries ended, in words with a space behind them, or ""; the short read is over."""
    before = _ended_before(connection_id)
    db.session.rollback()
    lapsed = sum(before.values())
    deleted = len(before) - lapsed
    told = f"{count_of(deleted, 'subscription')} of ours {'was' if deleted == 1 else 'were'} deleted. "
    return f"{told if deleted else ''}{f'{_lapsed(lapsed, alone=not deleted)} ' if lapsed else ''}"


def _unanswered(connection_id: str) -> list[datetime]:
    """The latest ends of what we asked for without ever having an answer; the short read is over."""
    asked = select(Subscription.expires_at).where(Subscription.connection_id == connection_id)
    ends = list(db.session.scalars(asked.where(_NO_ANSWER)))
    db.session.rollback()
    return ends


def give_up(work: Work, trouble: str) -> Ended:
    """Not deleted in time: say when what we know of, or what may be there, ends by itself."""
    connection_id = work.row().connection_id
    known, unanswered, gone = _known(connection_id), _unanswered(connection_id), _gone(connection_id)
    row = work.row()
    until = _latest(row, [*known.values(), *unanswered])
    if len(known) == 1:
        told = f"We have no word that our subscription was deleted; it ends by itself by {by(until)}."
        if gone:
            told = told.replace("our subscription", "the other one")
    elif known:
        more = "more " if gone else ""
        told = f"We have no word that {len(known)} {more}were deleted; they end by themselves by {by(until)}."
    elif unanswered:
        told = _perhaps(until)
    elif gone:
        told = f"We could not ask whether {_another(until)}"
    else:
        detail = f"{trouble} We could not look for subscriptions; any of ours ends by {by(until)}."
        return Ended(FAILED, detail, subscription_ends_at=until)
    detail = f"{trouble} {gone}{told} {THROWN_AWAY}"
    return Ended(EXPIRES, detail, len(known) + len(unanswered), subscription_ends_at=until)


def _lapsing(work: Work, ended: AccessEnded) -> Ended:
    """Without a living token nothing can be deleted: tell when what we know of, or may be there, ends by itself."""
    connection_id = work.row().connection_id
    known, unanswered, gone = _known(connection_id), _unanswered(connection_id), _gone(connection_id)
    row = work.row()
    until = _latest(row, [*known.values(), *unanswered])
    db.session.rollback()
    ids = [ended.request_id] if ended.request_id else []
    if known:
        one = f"{'the other one' if gone else 'our subscription'}. It ends by itself"
        what = one if len(known) == 1 else f"{len(known)}. They end by themselves"
        detail = f"{gone}{shut_out(ended)}, so we could not delete {what} by {by(until)}. {THROWN_AWAY}"
        return Ended(EXPIRES, detail, len(known) + len(unanswered), ids, subscription_ends_at=until)
    if unanswered:
        detail = f"{gone}{shut_out(ended)}. {_perhaps(until)} {THROWN_AWAY}"
        return Ended(EXPIRES, detail, len(unanswered), ids, subscription_ends_at=until)
    if gone:
        detail = f"{gone}{shut_out(ended)}, so we could not ask whether {_another(until)} {THROWN_AWAY}"
        return Ended(EXPIRES, detail, 0, ids, subscription_ends_at=until)
    detail = f"We know of no subscription of ours there; one that we were never told of ends by {by(until)}."
    return Ended(DONE, f"{shut_out(ended)}. {detail}", 0, ids, subscription_ends_at=until)


def _another(until: datetime) -> str:
    """What we know of is gone, and what else may be there we could not look up."""
    return f"this connection has another one there; if so, it ends by itself by {by(until)}."


def _perhaps(until: datetime) -> str:
    return (
        "We had asked for a subscription and never had Microsoft's answer: it may exist, "
        f"and then ends by itself by {by(until)}."
    )


def _latest(row: Disconnection, ends: Iterable[datetime]) -> datetime:
    """By when every subscription of ours has ended by itself.

    That is what we know, unless one may be missing from it, or a renewal whose answer was lost: then it is what the
    last call before the click can have asked for.
    """
    known = list(ends)
    asked = select(Subscription.renew_at).where(Subscription.connection_id == row.connection_id)
    due = db.session.scalars(asked.where(Subscription.ended_at.is_(None))).all()
    if known and all(renew_at > row.started_at for renew_at in due):
        return max(known)  # too young for a renewal to have been tried
    return max([row.started_at + LIFE, *known])

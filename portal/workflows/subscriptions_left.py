"""What is left of our subscriptions at the vendor when they could not be deleted, and when it ends by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import select

from portal.db import db
from portal.models import Disconnection, Subscription
from portal.models.disconnection_step import EXPIRES, FAILED
from portal.models.subscription import DELETED, LAPSED, MISSING
from portal.providers.base import AccessEnded
from portal.workflows.promise import Ended, Work, by, count_of, shut_out, was
from portal.workflows.subscribe import LIFE

THROWN_AWAY = "What it sends until then is thrown away."

NO_ANSWER = Subscription.provider_id.is_(None)


def give_up(work: Work, trouble: str) -> Ended:
    """Not deleted in time: say when what we know of, or what may be there, ends by itself."""
    connection_id = work.row().connection_id
    known, unanswered, gone = those_known(connection_id), those_unanswered(connection_id), _gone(connection_id)
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


def lapsing(work: Work, ended: AccessEnded) -> Ended:
    """Without a living token nothing can be deleted: tell when what we know of, or may be there, ends by itself."""
    connection_id = work.row().connection_id
    known, unanswered, gone = those_known(connection_id), those_unanswered(connection_id), _gone(connection_id)
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
    return Ended(EXPIRES, f"{shut_out(ended)}. {detail} {THROWN_AWAY}", 0, ids, subscription_ends_at=until)


def those_known(connection_id: str) -> dict[str, datetime]:
    """The vendor's ids of what we know to be there, and their ends; the short read is over."""
    asked = select(Subscription.provider_id, Subscription.expires_at).where(Subscription.connection_id == connection_id)
    rows = db.session.execute(asked.where(Subscription.ended_how.is_(None))).all()
    db.session.rollback()
    return {name: ends for name, ends in rows if name is not None}


def those_unanswered(connection_id: str) -> list[datetime]:
    """The latest ends of what we asked for without ever having an answer; the short read is over."""
    asked = select(Subscription.expires_at).where(Subscription.connection_id == connection_id)
    ends = list(db.session.scalars(asked.where(NO_ANSWER)))
    db.session.rollback()
    return ends


def those_ended(connection_id: str) -> dict[str, str]:
    """The vendor's ids of what earlier tries ended, or found ended, and how."""
    asked = select(Subscription.provider_id, Subscription.ended_how).where(Subscription.connection_id == connection_id)
    return {name: how for name, how in db.session.execute(asked).all() if name is not None and how is not None}


def what_went(ended: Mapping[str, str]) -> list[str]:
    """What is gone, in sentences. Deleted is what the vendor says it deleted; what it had no more is told apart."""
    number = Counter(ended.values())
    deleted, lapsed, missing = number[DELETED], number[LAPSED], number[MISSING]
    told = [f"{count_of(deleted, 'subscription')} deleted at Microsoft."] if deleted else []
    if lapsed:
        told.append(f"{_who(lapsed, told)} had ended by {'itself' if lapsed == 1 else 'themselves'}.")
    if missing:
        told.append(f"{_who(missing, told)} {was(missing)} not there any more.")
    return told


def _who(number: int, told: list[str]) -> str:
    """The first sentence says what they are, those that follow only how many."""
    if told:
        return str(number)
    return "Our subscription at Microsoft" if number == 1 else f"{number} subscriptions of ours"


def _gone(connection_id: str) -> str:
    """What earlier tries ended, in words with a space behind them, or ""; the short read is over."""
    told = what_went(those_ended(connection_id))
    db.session.rollback()
    return "".join(f"{each} " for each in told)


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
    due = db.session.scalars(asked.where(Subscription.ended_how.is_(None))).all()
    if known and all(renew_at > row.started_at for renew_at in due):
        return max(known)  # too young for a renewal to have been tried
    return max([row.started_at + LIFE, *known])

"""Disconnect: what is severed, in what order, and the words people read.

`STEPS` is the one list behind the question before, the running code, the progress, the receipt and the tests. Each
step's docstring is its promise: the first line its title, the rest the sentence people read. Every step commits by
itself and may run again; a failing remote step never stops the local ones. What tries them is `carry_out.py`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from portal import clock, durable, live
from portal.db import db
from portal.models import Connection, Disconnection, DisconnectionStep, Token
from portal.models.connection import CONNECTED, DISCONNECTING, NEEDS_ATTENTION
from portal.models.disconnection_step import DONE
from portal.parts import parts
from portal.providers.base import AccountKind
from portal.workflows import (
    end_notifications,
    erase,
    inventory,
    meetings_left,
    notice,
    remove_our_meetings,
    sign_in_attempts,
    subscriptions_left,
    tokens,
    withdraw_access,
)
from portal.workflows.activity import record
from portal.workflows.promise import Ended, GiveUp, Promise, Work

ERASE_NOW = "erase-now"


def stop_syncing(work: Work) -> Ended:
    """Stop syncing.

    From the moment it is confirmed, no sync begins, and one that is under way keeps nothing of what it reads. A meeting
    of ours that is just being written may still arrive in your calendar; the receipt counts it.
    """
    return Ended(DONE, "Syncing stopped the moment the disconnection was confirmed.")


def tell_you(work: Work) -> Ended:
    """Give you a receipt.

    A lasting, signed account of every step, which names no mailbox; and a notice by mail to your address here.
    """
    return Ended(DONE, f"This receipt is signed and kept for you. {notice.send(work)}")


@dataclass(frozen=True)
class Step:
    """One promise: its name, the title and sentence people read, and the code that keeps it."""

    name: str
    title: str
    promise: str
    keep: Promise
    give_up: GiveUp | None
    last_word: GiveUp | None


def _step(keep: Promise, give_up: GiveUp | None = None, *, last_word: GiveUp | None = None) -> Step:
    """A step with `give_up` is remote: it is tried until the deadline, or until the person wants to wait no longer.

    A local step is tried a number of times; `last_word` is its end when none of them did.
    """
    title, _, promise = (inspect.getdoc(keep) or "").partition("\n\n")
    return Step(keep.__name__, title.rstrip("."), " ".join(promise.split()), keep, give_up, last_word)


STEPS = (
    _step(stop_syncing),
    _step(end_notifications.end_notifications, subscriptions_left.give_up),
    _step(remove_our_meetings.remove_our_meetings, meetings_left.give_up),
    _step(withdraw_access.withdraw_access, withdraw_access.give_up_withdrawing),
    _step(withdraw_access.try_the_old_token, withdraw_access.give_up_trying),
    _step(erase.erase_tokens, last_word=erase.tokens_not_erased),
    _step(erase.erase_copies, last_word=erase.copies_not_erased),
    _step(erase.prove_nothing_remains, last_word=erase.not_proven),
    _step(tell_you),
)
BY_NAME = {step.name: step for step in STEPS}


# --- the click ------------------------------------------------------------------------------------------------------


def begin(
    connection_id: str, member_id: str, *, remove_meetings: bool = False, reason: str = ""
) -> Disconnection | None:
    """The fence, in one transaction: state, epoch, the disconnection with its steps, and its durable run.

    A second click, tab or POST gets the same disconnection. `reason` is why somebody else than the member does it; both
    stand on the receipt's page. None when there is nothing to disconnect.
    """
    sign_in_attempts.cancel(connection_id)  # before our own row is locked: a returning sign-in locks in this order too
    connection = db.session.scalar(
        select(Connection)
        .where(Connection.id == connection_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    before = find(connection_id)
    if before is not None:
        db.session.rollback()
        return find(connection_id)
    if connection is None or connection.state not in (CONNECTED, NEEDS_ATTENTION):
        db.session.rollback()
        return None
    held, now = inventory.take(connection), clock.now()
    token = db.session.get(Token, connection_id)
    disconnection = Disconnection(
        connection_id=connection_id,
        member_id=connection.member_id,
        integration=connection.integration,
        epoch=connection.epoch + 1,
        account_kind=connection.account_kind or AccountKind.WORK,
        calendars=len(held.calendars),
        copies=held.copies,
        subscriptions=held.subscriptions,
        meetings=held.meetings,
        remove_meetings=remove_meetings,
        started_by_id=member_id,
        reason=reason[:300],
        started_at=now,
        deadline_at=now + timedelta(seconds=parts().settings.disconnect_deadline),
        lapses_at=tokens.last_lapses_at(connection, token),
        steps=[DisconnectionStep(position=at, name=step.name) for at, step in enumerate(STEPS, 1)],
    )
    connection.state, connection.epoch = DISCONNECTING, disconnection.epoch
    connection.sync_wanted_at = connection.sync_note = connection.sync_lease = connection.sync_lease_until = None
    db.session.add(disconnection)
    first = disconnection.steps[0]
    ended = stop_syncing(Work(disconnection.id))
    first.started_at = first.ended_at = now
    first.attempts, first.outcome, first.detail = 1, ended.outcome, ended.detail
    record("connection:disconnect", member_id=member_id, connection_id=connection_id, detail=reason[:300])
    db.session.flush()
    durable.enqueue(db.session(), "disconnect", disconnection.id, run_id=disconnection.id)
    live.tell(db.session(), live.member(connection.member_id), "live-connections")
    db.session.commit()
    return disconnection


def find(connection_id: str) -> Disconnection | None:
    """The disconnection of a connection, running or ended."""
    return db.session.scalar(select(Disconnection).where(Disconnection.connection_id == connection_id))


def erase_now(disconnection_id: str) -> None:
    """The person does not want to wait for the vendor any longer: end the remote steps as they stand.

    Where nobody waits any more (the erasure has begun) nothing is changed, and the receipt says nothing of it.
    """
    disconnection = db.session.get_one(Disconnection, disconnection_id, with_for_update=True, populate_existing=True)
    waits = all(each.started_at is None for each in disconnection.steps if each.name == erase.erase_tokens.__name__)
    if waits and disconnection.erase_now_at is None:
        disconnection.erase_now_at = clock.now()
        record(
            "connection:disconnect:erase_now",
            member_id=disconnection.member_id,
            connection_id=disconnection.connection_id,
        )
        durable.nudge(db.session(), disconnection_id, ERASE_NOW)
        tell(disconnection_id)
    db.session.commit()


def tell(disconnection_id: str) -> None:
    """In the caller's transaction: let whoever looks at this disconnection look again."""
    member_id = db.session.get_one(Disconnection, disconnection_id).member_id
    live.tell(db.session(), live.member(member_id), f"live-disconnection-{disconnection_id}")

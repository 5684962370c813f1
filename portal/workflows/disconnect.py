"""Disconnect: what is severed, in what order, and the words people read.

`STEPS` is the one list behind the question before, the running code, the progress, the receipt and the tests. Each
step's docstring is its promise: the first line its title, the rest the sentence people read. Every step commits by
itself and may run again; a failing remote step never stops the local ones.
"""

from __future__ import annotations

import inspect
import logging
import random
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import select

from portal import clock, durable, live
from portal.db import db
from portal.models import Connection, Disconnection, DisconnectionStep, Token
from portal.models.connection import CONNECTED, DISCONNECTING, NEEDS_ATTENTION
from portal.models.disconnection_step import DONE, FAILED
from portal.parts import parts
from portal.providers.base import AccountKind, OurFault, ProviderError
from portal.vault import KeysAway
from portal.workflows import (
    counters,
    end_notifications,
    erase,
    inventory,
    notice,
    receipt,
    remove_our_meetings,
    withdraw_access,
)
from portal.workflows.activity import record
from portal.workflows.connect import cancel_attempts
from portal.workflows.not_now import NotYet
from portal.workflows.promise import Ended, GiveUp, Promise, Work

logger = logging.getLogger("portal.disconnect")

ERASE_NOW = "erase-now"
LOCAL_TRIES = 60  # of a step that needs nobody else; it may begin when the deadline, which is the vendor's, is over


def stop_syncing(work: Work) -> Ended:
    """Stop syncing.

    From the moment you confirm, nothing is read from or written to this calendar any more.
    """
    return Ended(DONE, "Syncing stopped the moment you confirmed.")


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
    _step(end_notifications.end_notifications, end_notifications.give_up),
    _step(remove_our_meetings.remove_our_meetings, remove_our_meetings.give_up),
    _step(withdraw_access.withdraw_access, withdraw_access.give_up_withdrawing),
    _step(withdraw_access.try_the_old_token, withdraw_access.give_up_trying),
    _step(erase.erase_tokens, last_word=erase.tokens_not_erased),
    _step(erase.erase_copies),
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
    cancel_attempts(connection_id)  # before our own row is locked: a returning sign-in locks in this order too
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
        lapses_at=token.lapses_at if token else None,
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
    """The person does not want to wait for the vendor any longer: end the remote steps as they stand."""
    disconnection = db.session.get_one(Disconnection, disconnection_id, with_for_update=True)
    if disconnection.finished_at is None and disconnection.erase_now_at is None:
        disconnection.erase_now_at = clock.now()
        record(
            "connection:disconnect:erase_now",
            member_id=disconnection.member_id,
            connection_id=disconnection.connection_id,
        )
        durable.nudge(db.session(), disconnection_id, ERASE_NOW)
        _tell(disconnection_id)
    db.session.commit()


# --- the run --------------------------------------------------------------------------------------------------------


@durable.run("disconnect")
def disconnect(disconnection_id: str) -> None:
    """The durable run: every step in order, each tried until it has its outcome; back to one that is asked for again.

    Where it goes depends on recorded results alone, so that a run that was taken over goes the same way.
    """
    at = 0
    while at < len(STEPS):
        step = STEPS[at]
        wait = durable.step(partial(carry_out, step.name), disconnection_id, label=step.name)
        if wait is None:
            at += 1
        elif wait < 0:
            at = -int(wait) - 1
        else:
            durable.pause(wait, ERASE_NOW)


def carry_out(name: str, disconnection_id: str) -> float | None:
    """Try one step once. None when it has its outcome, else the seconds to wait before the next try.

    Below zero: not tried, because the earlier step at that position was asked for again (see again.py).
    """
    step, work = BY_NAME[name], Work(disconnection_id)
    attempts = _note_start(disconnection_id, name)
    if attempts is None or attempts < 0:
        return attempts
    try:
        ended = step.keep(work)
    except ProviderError as error:
        db.session.rollback()
        if isinstance(error, OurFault):
            logger.critical("step %s met a problem of our registration %s", name, error.request_id)
            counters.add("our_faults")
        return _try_later(disconnection_id, step, attempts, error.sentence, error.retry_after, error)
    except (KeysAway, NotYet) as error:
        db.session.rollback()
        return _try_later(disconnection_id, step, attempts, error.sentence, None, error)
    except Exception as error:
        db.session.rollback()
        if durable.is_away(error):
            raise  # nothing is known to be wrong with the step: it is done again once the database is there
        logger.exception("step %s of disconnection %s broke", name, disconnection_id)
        return _try_later(disconnection_id, step, attempts, "Something went wrong on our side.", None, error)
    _note_end(disconnection_id, name, ended)
    return None


def _note_start(disconnection_id: str, name: str) -> int | None:
    row = _row(disconnection_id, name)
    if row.outcome is not None:
        db.session.rollback()
        return None
    # Whoever asks for a step again holds this row's lock if it is the one before which they must have come.
    earlier = _asked_again_before(row)
    if earlier is not None:
        db.session.rollback()
        return -earlier
    row.started_at = row.started_at or clock.now()
    row.attempts += 1
    attempts = row.attempts
    db.session.commit()
    return attempts


def _asked_again_before(row: DisconnectionStep) -> int | None:
    return db.session.scalar(
        select(DisconnectionStep.position)
        .where(
            DisconnectionStep.disconnection_id == row.disconnection_id,
            DisconnectionStep.position < row.position,
            DisconnectionStep.outcome.is_(None),
            DisconnectionStep.again_at.is_not(None),
        )
        .order_by(DisconnectionStep.position)
        .limit(1)
    )


def _try_later(
    disconnection_id: str, step: Step, attempts: int, trouble: str, retry_after: float | None, error: Exception
) -> float | None:
    disconnection = db.session.get_one(Disconnection, disconnection_id)
    left = (disconnection.deadline_at - clock.now()).total_seconds()
    if step.give_up is None and attempts >= (error.tries if isinstance(error, NotYet) else LOCAL_TRIES):
        logger.critical("step %s of disconnection %s could not be done: %s", step.name, disconnection_id, trouble)
        ended = step.last_word(Work(disconnection_id), trouble) if step.last_word else Ended(FAILED, trouble)
        _note_end(disconnection_id, step.name, ended)
        return None
    if step.give_up is not None and (disconnection.erase_now_at is not None or left <= 0):
        _note_end(disconnection_id, step.name, step.give_up(Work(disconnection_id), trouble))
        return None
    row = _row(disconnection_id, step.name)
    if row.outcome is not None:  # a twin of this run was quicker
        db.session.rollback()
        return None
    row.trouble = trouble
    _tell(disconnection_id)
    db.session.commit()
    settings = parts().settings
    backoff = min(settings.retry_longest, settings.retry_first * 2.0 ** min(attempts - 1, 10))
    jittered = backoff * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    wait = max(jittered, retry_after or 0)
    return wait if step.give_up is None else min(wait, left)


def _note_end(disconnection_id: str, name: str, ended: Ended) -> None:
    row = _row(disconnection_id, name)
    if row.outcome is None:
        row.outcome, row.detail, row.count, row.request_ids = (
            ended.outcome,
            ended.detail,
            ended.count,
            ended.request_ids,
        )
        row.link, row.link_title, row.trouble, row.ended_at = ended.link, ended.link_title, None, clock.now()
        if name == end_notifications.end_notifications.__name__:
            db.session.get_one(Disconnection, disconnection_id).subscription_ends_at = ended.subscription_ends_at
    if name == STEPS[-1].name:
        _close(disconnection_id)
    _tell(disconnection_id)
    db.session.commit()


def _close(disconnection_id: str) -> None:
    """Write the receipt and the end of the disconnection, in the transaction of the last step."""
    # Locked: a token that is told of at this very moment stands on the receipt, or beside it as one that came later.
    disconnection = db.session.get_one(Disconnection, disconnection_id, populate_existing=True, with_for_update=True)
    if disconnection.finished_at is None:
        disconnection.finished_at = clock.now()
        words = {step.name: (step.title, step.promise) for step in STEPS}
        receipt.write(disconnection, words, remote={step.name for step in STEPS if step.give_up is not None})
        record(
            "connection:disconnect:done",
            member_id=disconnection.member_id,
            connection_id=disconnection.connection_id,
        )


def _tell(disconnection_id: str) -> None:
    member_id = db.session.get_one(Disconnection, disconnection_id).member_id
    live.tell(db.session(), live.member(member_id), f"live-disconnection-{disconnection_id}")


def _row(disconnection_id: str, name: str) -> DisconnectionStep:
    return db.session.scalars(
        select(DisconnectionStep)
        .where(DisconnectionStep.disconnection_id == disconnection_id, DisconnectionStep.name == name)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()

"""Carry out a disconnection: its durable run, the tries of each step, and how each of them ends.

The steps, their order and their words stand in `disconnect.py`.
"""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from datetime import timedelta
from functools import partial

from sqlalchemy import select

from portal import clock, durable
from portal.db import db
from portal.models import Disconnection, DisconnectionStep
from portal.models.disconnection_step import FAILED
from portal.parts import parts
from portal.providers.base import OurFault, ProviderError, Unreachable
from portal.vault import KeysAway
from portal.workflows import counters, end_notifications, receipt, withdraw_access
from portal.workflows.activity import record
from portal.workflows.disconnect import BY_NAME, ERASE_NOW, STEPS, Step, tell
from portal.workflows.not_now import NotYet
from portal.workflows.promise import Ended, Work

logger = logging.getLogger("portal.disconnect")

KEYS_TRIES = 12  # while the key database is away: some four minutes; the copies wait behind it, and the watch goes on
JUST_NOW = timedelta(seconds=60)
LOCAL_TRIES = 60  # of a step that needs nobody else; it may begin when the deadline, which is the vendor's, is over


@durable.run("disconnect")
def run(disconnection_id: str) -> None:
    """The run: every step in order, each tried until it has its outcome; back to one that is asked for again.

    Where it goes depends on recorded results alone, so that a run that was taken over goes the same way.
    """
    at = 0
    while at < len(STEPS):
        step = STEPS[at]
        wait = durable.step(partial(attempt, step.name), disconnection_id, label=step.name)
        if wait is None:
            at += 1
        elif wait < 0:
            at = -int(wait) - 1
        else:
            durable.pause(wait, ERASE_NOW)


def attempt(name: str, disconnection_id: str) -> float | None:
    """Try one step once. None when it has its outcome, else the seconds to wait before the next try.

    When the time is over and Microsoft has just let another step wait in vain, this one is given up untried: what is
    said to be erased now must not wait as long again for each.
    Below zero: not tried, because the earlier step at that position was asked for again (see again.py).
    """
    step, work = BY_NAME[name], Work(disconnection_id)
    attempts = _note_start(disconnection_id, name)
    if attempts is None or attempts < 0:
        return attempts
    if step.give_up is not None and attempts == 0:
        _note_end(disconnection_id, name, step.give_up(work, Unreachable.sentence))
        return None
    began = clock.monotonic()
    try:
        ended = step.keep(work)
    except ProviderError as error:
        db.session.rollback()
        if isinstance(error, OurFault):
            logger.critical("step %s met a problem of our registration %s", name, error.request_id)
            counters.add("our_faults")
        wait = _try_later(disconnection_id, step, attempts, error.sentence, error.retry_after, error)
        long = clock.monotonic() - began > 0.8 * parts().settings.remote_timeout
        if wait is None and long and isinstance(error, Unreachable):
            _row(disconnection_id, name).in_vain = True
            db.session.commit()
        return wait
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
    if _just_waited_in_vain(row):
        db.session.commit()
        return 0
    row.attempts += 1
    attempts = row.attempts
    db.session.commit()
    return attempts


def _just_waited_in_vain(row: DisconnectionStep) -> bool:
    """Whether a call for an earlier step has just been waited for in vain, and the time for trying is over.

    After a longer while (the worker was down) it is worth a try.
    """
    earlier = select(DisconnectionStep.id).where(
        DisconnectionStep.disconnection_id == row.disconnection_id,
        DisconnectionStep.position < row.position,
        DisconnectionStep.in_vain,
        DisconnectionStep.ended_at > clock.now() - JUST_NOW,
    )
    if BY_NAME[row.name].give_up is None or db.session.scalar(earlier.limit(1)) is None:
        return False
    disconnection = db.session.get_one(Disconnection, row.disconnection_id)
    return disconnection.erase_now_at is not None or disconnection.deadline_at <= clock.now()


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
    if step.give_up is None and attempts >= _tries(error):
        logger.critical("step %s of disconnection %s could not be done: %s", step.name, disconnection_id, trouble)
        ended = step.last_word(Work(disconnection_id), trouble) if step.last_word else Ended(FAILED, trouble)
        _note_end(disconnection_id, step.name, ended)
        return None
    if step.give_up is not None and (disconnection.erase_now_at is not None or left <= 0):
        ended = step.give_up(Work(disconnection_id), trouble)
        if isinstance(error, ProviderError) and error.request_id:
            ended = replace(ended, request_ids=[*ended.request_ids, error.request_id])
        _note_end(disconnection_id, step.name, ended)
        return None
    row = _row(disconnection_id, step.name)
    if row.outcome is not None:  # a twin of this run was quicker
        db.session.rollback()
        return None
    row.trouble = trouble
    tell(disconnection_id)
    db.session.commit()
    settings = parts().settings
    backoff = min(settings.retry_longest, settings.retry_first * 2.0 ** min(attempts - 1, 10))
    jittered = backoff * random.uniform(0.75, 1.25)  # noqa: S311 - no secret
    wait = max(jittered, retry_after or 0)
    return wait if step.give_up is None else min(wait, left)


def _tries(error: Exception) -> int:
    """How often a local step is tried that met this."""
    return error.tries if isinstance(error, NotYet) else KEYS_TRIES if isinstance(error, KeysAway) else LOCAL_TRIES


def _note_end(disconnection_id: str, name: str, ended: Ended) -> None:
    row = _row(disconnection_id, name)
    # What the old token was good for while a withdrawal was asked for again is found out anew after it (again.py).
    is_stale = name == withdraw_access.try_the_old_token.__name__ and _asked_again_before(row) is not None
    if row.outcome is None and not is_stale:
        row.outcome, row.detail, row.count = ended.outcome, ended.detail, ended.count
        row.request_ids = list(dict.fromkeys([*row.request_ids, *ended.request_ids]))
        row.link, row.link_title, row.trouble, row.ended_at = ended.link, ended.link_title, None, clock.now()
        if name == end_notifications.end_notifications.__name__:
            db.session.get_one(Disconnection, disconnection_id).subscription_ends_at = ended.subscription_ends_at
    if name == STEPS[-1].name:
        _close(disconnection_id)
    tell(disconnection_id)
    db.session.commit()


def _close(disconnection_id: str) -> None:
    """Write the receipt and the end of the disconnection, in the transaction of the last step."""
    # Locked: a token that is told of at this very moment stands on the receipt, or beside it as one that came later.
    disconnection = db.session.get_one(Disconnection, disconnection_id, populate_existing=True, with_for_update=True)
    if disconnection.finished_at is None:
        withdraw_access.tell_of_later_ones(Work(disconnection_id))
        disconnection.finished_at = clock.now()
        words = {step.name: (step.title, step.promise) for step in STEPS}
        receipt.write(disconnection, words, remote={step.name for step in STEPS if step.give_up is not None})
        record(
            "connection:disconnect:done",
            member_id=disconnection.member_id,
            connection_id=disconnection.connection_id,
        )


def _row(disconnection_id: str, name: str) -> DisconnectionStep:
    return db.session.scalars(
        select(DisconnectionStep)
        .where(DisconnectionStep.disconnection_id == disconnection_id, DisconnectionStep.name == name)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()

"""Once more: support asks for a step of a running disconnection again, as long as our tokens exist.

What is asked for is a row of ours: the run looks at it before every try, and under the lock of the step that erases
the tokens, so that it is either done before the erasure or refused. The deadline stays where it is.
"""

from __future__ import annotations

from sqlalchemy import select

from portal import clock, durable, live
from portal.db import db
from portal.models import Disconnection, DisconnectionStep, Member
from portal.workflows import disconnect
from portal.workflows.activity import record
from portal.workflows.promise import erased


class TooLate(Exception):
    """Nothing was asked for. The text says why, in one sentence."""


def choices(row: Disconnection) -> list[DisconnectionStep]:
    """The steps that can be tried again now: those that were given up, and the one that waits for its next try."""
    if _over(row):
        return []
    remote = [step for step in row.steps if disconnect.BY_NAME[step.name].give_up is not None]
    return [step for step in remote if step.is_given_up() or (step.outcome is None and step.trouble)]


def why_not(row: Disconnection) -> str:
    """Why no step can be tried again; "" while one can be."""
    over = _over(row)
    if not over:
        return "" if choices(row) else "No step waits at the moment, and none was given up."
    remote = [step for step in row.steps if step.is_given_up() and disconnect.BY_NAME[step.name].give_up is not None]
    titles = ", ".join(f"“{disconnect.BY_NAME[step.name].title}”" for step in remote)
    return f"{titles or 'No step'} {'cannot' if titles else 'can'} be tried again. {over}"


def ask(row: Disconnection, name: str, supporter: Member, reason: str) -> str:
    """Ask for a step again, in the caller's transaction; returns the step's title. Raises TooLate."""
    _lock(row)
    refused = why_not(row)
    if refused:
        raise TooLate(refused)
    step = next((each for each in choices(row) if each.name == name), None)
    if step is None:
        raise TooLate("This step is done, or its turn has not come yet.")
    for each in (step, *_found_out_after(step, row)):
        if each.outcome is not None:
            each.reopen()
        each.again_at, each.again_by_id, each.again_reason = clock.now(), supporter.id, reason[:300]
    record("support:retry", member_id=supporter.id, connection_id=row.connection_id, detail=reason[:300])
    durable.nudge(db.session(), row.id, disconnect.ERASE_NOW)
    live.tell(db.session(), live.member(row.member_id), f"live-disconnection-{row.id}")
    return disconnect.BY_NAME[name].title


def _found_out_after(step: DisconnectionStep, row: Disconnection) -> list[DisconnectionStep]:
    """Whether our access is still honoured, and until when, has to be found out anew.

    It may be withdrawn now, and whatever asks the provider may be issued a further token.
    """
    probe = [each for each in row.steps if each.name == "try_the_old_token" and each.outcome is not None]
    return [each for each in probe if each is not step]


def _lock(row: Disconnection) -> None:
    """Hold every step as it stands now: from here on the run can begin none."""
    own = select(DisconnectionStep).where(DisconnectionStep.disconnection_id == row.id)
    ordered = own.order_by(DisconnectionStep.position).with_for_update()
    db.session.scalars(ordered.execution_options(populate_existing=True)).all()
    db.session.refresh(row)


def _over(row: Disconnection) -> str:
    """Why the time for trying is over; "" while it lasts."""
    told = erased(row)
    if told:
        return told
    if row.finished_at is not None or any(step.name == "erase_tokens" and step.started_at for step in row.steps):
        return "Our tokens are being erased at this moment."
    if row.erase_now_at is not None:
        return "The person asked to erase at once, so no step can be asked for again."
    if row.deadline_at <= clock.now():
        return "The time for trying is over: our tokens are being erased."
    return ""

"""Support's desk: take, note, close, reopen; and what support does for a person, with a reason, for them to see."""

from __future__ import annotations

from sqlalchemy import select

from portal import clock, durable, live
from portal.db import db
from portal.models import Connection, Conversation, Disconnection, Member
from portal.models.conversation import ANSWERED, CLOSED, WAITING
from portal.models.disconnection_step import FAILED
from portal.workflows import disconnect
from portal.workflows.activity import record
from portal.workflows.conversation import Refused, locked, note_event, tell


def assign(conversation_id: str, supporter: Member | None) -> None:
    """Give a conversation to one supporter, or back to all."""
    conversation = locked(conversation_id)
    conversation.assigned_id = supporter.id if supporter else None
    tell(conversation)
    db.session.commit()


def close(conversation_id: str, supporter: Member) -> None:
    """The matter is settled. Closing twice keeps the first moment."""
    conversation = locked(conversation_id)
    if conversation.state != CLOSED:
        conversation.state, conversation.closed_at = CLOSED, clock.now()
        note_event(conversation, f"{supporter.name} closed this conversation.", supporter.id)
        tell(conversation)
    db.session.commit()


def reopen(conversation_id: str, supporter: Member) -> None:
    """It is not settled after all."""
    conversation = locked(conversation_id)
    if conversation.state == CLOSED:
        conversation.state, conversation.closed_at = (ANSWERED if conversation.answered_at else WAITING), None
        note_event(conversation, f"{supporter.name} opened this conversation again.", supporter.id)
        tell(conversation)
    db.session.commit()


def disconnect_for(conversation_id: str, connection_id: str, supporter: Member, reason: str) -> None:
    """Start a disconnection on the person's behalf; activity, receipt page and conversation say who and why."""
    conversation = db.session.get_one(Conversation, conversation_id)
    connection = db.session.get(Connection, connection_id)
    owner, name = conversation.member_id, supporter.name
    allowed = connection is not None and owner is not None and connection.member_id == owner
    db.session.rollback()
    if not allowed:
        raise Refused("This connection is not one of theirs any more.")
    if not reason:
        raise Refused("Please give a reason; the person reads it.")
    begun = disconnect.begin(connection_id, supporter.id, reason=reason)
    if begun is None:
        raise Refused("There is nothing left to disconnect.")
    _did(conversation_id, supporter, f"{name} started disconnecting Outlook Calendar for you. Reason: {reason}")


def retry_step(conversation_id: str, disconnection_id: str, supporter: Member, reason: str) -> None:
    """Try the step that waits once more, at once. Raises Refused with the reason why that cannot be done any more."""
    conversation = db.session.get_one(Conversation, conversation_id)
    row = db.session.get(Disconnection, disconnection_id)
    if row is None or row.member_id != conversation.member_id:
        db.session.rollback()
        raise Refused("This disconnection is not one of theirs.")
    why_not = why_no_retry(row)
    if why_not or not reason:
        db.session.rollback()
        raise Refused(why_not or "Please give a reason; the person reads it.")
    step = row.step_at_work()
    assert step is not None
    title = disconnect.BY_NAME[step.name].title
    record("support:retry", member_id=supporter.id, connection_id=row.connection_id, detail=reason[:300])
    durable.nudge(db.session(), row.id, disconnect.ERASE_NOW)
    live.tell(db.session(), live.member(row.member_id), f"live-disconnection-{row.id}")
    db.session.commit()
    _did(conversation_id, supporter, f"{supporter.name} tries the step “{title}” again. Reason: {reason}")


def why_no_retry(row: Disconnection) -> str:
    """Why no remote step of this disconnection can be tried again; "" while one waits for its next try."""
    if row.finished_at is not None or any(step.name == "erase_tokens" and step.outcome for step in row.steps):
        failed = [step for step in row.steps if step.outcome == FAILED]
        steps = ", ".join(
            f"“{disconnect.BY_NAME[step.name].title}”" for step in failed if step.name in disconnect.BY_NAME
        )
        told = f"{steps} cannot be tried again: " if steps else "No step can be tried again: "
        return f"{told}our tokens for this account are erased, so nothing of ours opens it any more."
    step = row.step_at_work()
    if step is None or not step.trouble:
        return "No step waits at the moment."
    if row.erase_now_at is not None:
        return "The person asked to erase at once, so nothing is tried any more."
    return ""


def supporters() -> list[Member]:
    """Everybody who can be given a conversation."""
    return list(db.session.scalars(select(Member).where(Member.role == "support").order_by(Member.name)))


def _did(conversation_id: str, supporter: Member, text: str) -> None:
    conversation = locked(conversation_id)
    note_event(conversation, text, supporter.id)
    tell(conversation)
    db.session.commit()

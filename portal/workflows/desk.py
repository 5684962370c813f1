"""Support's desk: take, note, close, reopen; and what support does for a person, with a reason, for them to see."""

from __future__ import annotations

from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import Connection, Conversation, Disconnection, Member
from portal.models.conversation import ANSWERED, CLOSED, WAITING
from portal.workflows import again, disconnect
from portal.workflows.conversation import Refused, locked, note_event, tell


def assign(conversation_id: str, supporter: Member | None) -> None:
    """Give a conversation to one supporter, or back to all."""
    conversation = locked(conversation_id)
    conversation.assigned_id = supporter.id if supporter else None
    tell(conversation)
    db.session.commit()


def close(conversation_id: str, supporter: Member) -> None:
    """The matter is settled, and where its person was is forgotten. Closing twice keeps the first moment."""
    conversation = locked(conversation_id)
    if conversation.state != CLOSED:
        conversation.state, conversation.closed_at = CLOSED, clock.now()
        conversation.person_page, conversation.person_seen_at, conversation.person_left_at = "", None, None
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


def retry_step(conversation_id: str, disconnection_id: str, name: str, supporter: Member, reason: str) -> None:
    """Try a step once more, with everything that is noted of it in one transaction. Raises Refused, with why not."""
    conversation = locked(conversation_id)
    row = db.session.get(Disconnection, disconnection_id)
    try:
        if row is None or conversation.member_id is None or row.member_id != conversation.member_id:
            raise Refused("This disconnection is not one of theirs.")
        if not reason:
            raise Refused("Please give a reason; the person reads it.")
        title = again.ask(row, name, supporter, reason)
    except (Refused, again.TooLate) as refused:
        db.session.rollback()
        raise Refused(str(refused)) from None
    note_event(conversation, f"{supporter.name} tries the step “{title}” again. Reason: {reason}", supporter.id)
    tell(conversation)
    db.session.commit()


def supporters() -> list[Member]:
    """Everybody who can be given a conversation."""
    return list(db.session.scalars(select(Member).where(Member.role == "support").order_by(Member.name)))


def _did(conversation_id: str, supporter: Member, text: str) -> None:
    conversation = locked(conversation_id)
    note_event(conversation, text, supporter.id)
    tell(conversation)
    db.session.commit()

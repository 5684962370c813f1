"""Reached and read: how far each side of a conversation has come, who is typing, and what is unread."""

from __future__ import annotations

from sqlalchemy import func, select

from portal import live
from portal.db import db
from portal.models import Conversation, Entry
from portal.models.entry import MESSAGE
from portal.workflows.conversation import Person, locked, person_of


def read(conversation_id: str, number: int, *, by_support: bool) -> None:
    """One side has everything up to this entry before its eyes."""
    _come_so_far(conversation_id, number, "support_read" if by_support else "person_read", by_support)


def reached(conversation_id: str, number: int, *, by_support: bool) -> None:
    """Everything up to this entry has arrived at a page of one side."""
    _come_so_far(conversation_id, number, "", by_support)


def unread(person: Person) -> int:
    """How many messages of support a person has not read yet."""
    own = Conversation.member_id == person.member_id if person.member_id else Conversation.visitor == person.visitor
    return (
        db.session.scalar(
            select(func.count())
            .select_from(Entry)
            .join(Conversation, Conversation.id == Entry.conversation_id)
            .where(own, Entry.by_support, Entry.kind == MESSAGE, Entry.number > Conversation.person_read)
        )
        or 0
    )


def typing(conversation_id: str, name: str, *, by_support: bool) -> None:
    """Somebody is writing: told to the other side (and to other supporters), stored nowhere."""
    conversation = db.session.get_one(Conversation, conversation_id)
    if by_support:
        live.tell(db.session(), person_of(conversation).audience(), "live-typing", name)
    live.tell(db.session(), live.SUPPORT, f"live-typing-{conversation_id}", name)
    db.session.commit()


def _come_so_far(conversation_id: str, number: int, read_column: str, by_support: bool) -> None:
    conversation = locked(conversation_id)
    number = min(number, conversation.last)
    before = (
        conversation.person_reached,
        conversation.person_read,
        conversation.support_reached,
        conversation.support_read,
    )
    columns = ["support_reached" if by_support else "person_reached", read_column]
    for column in filter(None, columns):
        setattr(conversation, column, max(getattr(conversation, column), number))
    after = (
        conversation.person_reached,
        conversation.person_read,
        conversation.support_reached,
        conversation.support_read,
    )
    if before == after:
        db.session.rollback()
        return
    session = db.session()
    live.tell(session, person_of(conversation).audience(), "live-chat")
    live.tell(session, live.SUPPORT, f"live-conversation-{conversation_id}")
    db.session.commit()

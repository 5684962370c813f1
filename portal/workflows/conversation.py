"""Conversations: what a person and support say to each other, in order, each message once.

Every message has a name that its sender gave it, so that sending it again after a cut or a killed server stores it
once. Numbers are given while the conversation's row is locked: everybody sees the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, func, or_, select

from portal import clock, live
from portal.db import db, new_id
from portal.models import Attachment, Conversation, Entry, Member
from portal.models.conversation import ANSWERED, CLOSED, WAITING
from portal.models.entry import EVENT, MESSAGE, NOTE
from portal.workflows.picture import kind_of

LONGEST = 4000  # characters
PER_MINUTE = 20  # messages of one side in one conversation
NEW_PER_DAY = 10  # conversations of one person


class Refused(Exception):
    """The message was not stored. The text is one sentence for whoever wrote it."""


@dataclass(frozen=True)
class Person:
    """Who asks for help: a member, or the hash of a browser's random name. Exactly one is set."""

    member_id: str | None = None
    visitor: str | None = None

    def audience(self) -> str:
        """Their open pages."""
        return live.member(self.member_id) if self.member_id else f"visitor:{self.visitor}"

    def owns(self, conversation: Conversation) -> bool:
        """Whether this is their conversation."""
        return (conversation.member_id, conversation.visitor) == (self.member_id, self.visitor)


@dataclass(frozen=True)
class Message:
    """What somebody wants to say. `sent_as` is their own name for it; `image` the bytes of a picture, or none."""

    text: str
    sent_as: str = ""
    image: bytes = b""


def person_of(conversation: Conversation) -> Person:
    """Whose it is."""
    return Person(conversation.member_id, conversation.visitor)


def mine(person: Person) -> list[Conversation]:
    """All conversations of a person, the latest first."""
    return list(db.session.scalars(_of(person)))


def latest(person: Person) -> Conversation | None:
    """The conversation that the person goes on with."""
    found: Conversation | None = db.session.scalars(_of(person).limit(1)).first()
    return found


def _of(person: Person) -> Select[Any]:
    own = Conversation.member_id == person.member_id if person.member_id else Conversation.visitor == person.visitor
    return select(Conversation).where(own).order_by(Conversation.last_at.desc())


def start(
    person: Person, message: Message, *, reply_to: str, page: str, article: str, situation: dict[str, Any]
) -> str:
    """A new conversation with its first message; returns its id. The same message sent twice starts one."""
    sent = _of(person).join(Entry, Entry.conversation_id == Conversation.id).where(Entry.sent_as == message.sent_as)
    again = db.session.scalars(sent).first() if message.sent_as else None
    if again is not None:
        again_id: str = again.id
        db.session.rollback()
        return again_id
    since = clock.now() - timedelta(days=1)
    if sum(each.started_at > since for each in mine(person)) >= NEW_PER_DAY:
        db.session.rollback()
        raise Refused("You have begun many conversations today. Please go on in one of them.")
    conversation = Conversation(
        member_id=person.member_id,
        visitor=person.visitor,
        reply_to=reply_to[:254],
        page=page[:300],
        article=article[:100],
        situation=situation,
        person_page=page[:300],
    )
    db.session.add(conversation)
    db.session.flush()
    conversation_id = conversation.id
    say(conversation_id, message, author_id=person.member_id)
    return conversation_id


def say(
    conversation_id: str,
    message: Message,
    *,
    author_id: str | None,
    by_support: bool = False,
    note: bool = False,
    seen: int | None = None,
) -> None:
    """Store a message. Raises Refused; `seen` is the last entry a supporter had before their eyes when answering."""
    conversation = locked(conversation_id)
    if message.sent_as and db.session.scalar(
        select(Entry.id).where(Entry.conversation_id == conversation_id, Entry.sent_as == message.sent_as)
    ):
        db.session.rollback()  # sent before: it is there
        return
    try:
        _judge(conversation, message, author_id, by_support=by_support, seen=None if note else seen)
        image = Attachment(kind=kind_of(message.image), size=len(message.image), content=message.image)
    except (Refused, ValueError) as error:
        db.session.rollback()
        raise Refused(str(error)) from None
    entry = add(conversation, NOTE if note else MESSAGE, message.text, author_id, by_support, message.sent_as)
    entry.image = image if message.image else None
    if not note:
        _move(conversation, author_id, by_support=by_support)
    tell(conversation, news=not by_support)
    db.session.commit()


def add(
    conversation: Conversation, kind: str, text: str, author_id: str | None, by_support: bool, sent_as: str = ""
) -> Entry:
    """The next entry of a conversation that the caller has locked."""
    conversation.last += 1
    conversation.last_at = clock.now()
    entry = Entry(
        conversation_id=conversation.id,
        number=conversation.last,
        sent_as=sent_as[:64] or new_id(),
        kind=kind,
        by_support=by_support,
        author_id=author_id,
        text=text,
    )
    db.session.add(entry)
    return entry


def note_event(conversation: Conversation, text: str, author_id: str | None) -> None:
    """What was done, for both sides to see."""
    add(conversation, EVENT, text, author_id, True)


def locked(conversation_id: str) -> Conversation:
    """The conversation, with its row locked until the end of the transaction."""
    return db.session.scalars(
        select(Conversation)
        .where(Conversation.id == conversation_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def tell(conversation: Conversation, *, news: bool = False) -> None:
    """Let the open pages of both sides look again; `news` lets the desk ring."""
    session = db.session()
    db.session.flush()
    live.tell(session, person_of(conversation).audience(), "live-chat")
    live.tell(session, live.SUPPORT, f"live-conversation-{conversation.id}")
    live.tell(session, live.SUPPORT, "live-desk", "news" if news else "")


def entries(conversation: Conversation, *, notes: bool, last: int = 200) -> list[Entry]:
    """The last entries in order; notes only for supporters."""
    found = select(Entry).where(Entry.conversation_id == conversation.id)
    if not notes:
        found = found.where(Entry.kind != NOTE)
    return list(reversed(db.session.scalars(found.order_by(Entry.number.desc()).limit(last)).all()))


def _judge(
    conversation: Conversation, message: Message, author_id: str | None, *, by_support: bool, seen: int | None
) -> None:
    if not message.text and not message.image:
        raise Refused("Please write something, or choose a picture.")
    if len(message.text) > LONGEST:
        raise Refused(f"Please keep it within {LONGEST} characters; this has {len(message.text)}.")
    own = select(func.count()).where(
        Entry.conversation_id == conversation.id,
        Entry.by_support == by_support,
        Entry.kind == MESSAGE,
        Entry.at > clock.now() - timedelta(minutes=1),
    )
    if (db.session.scalar(own) or 0) >= PER_MINUTE:
        raise Refused("That was a lot at once. Please wait a minute, then send it again.")
    if by_support and seen is not None:
        other = db.session.scalar(
            select(Member.name)
            .join(Entry, Entry.author_id == Member.id)
            .where(
                Entry.conversation_id == conversation.id,
                Entry.number > seen,
                Entry.by_support,
                Entry.kind == MESSAGE,
                or_(Entry.author_id != author_id),
            )
        )
        if other is not None:
            raise Refused(f"{other} answered meanwhile. Read it below; send yours again if it is still needed.")


def _move(conversation: Conversation, author_id: str | None, *, by_support: bool) -> None:
    conversation.closed_at = None
    if by_support:
        conversation.state = ANSWERED
        conversation.assigned_id = conversation.assigned_id or author_id
        conversation.answered_at = conversation.answered_at or clock.now()
        conversation.support_read = conversation.support_reached = conversation.last
    else:
        if conversation.state == CLOSED:
            note_event(conversation, "Opened again.", None)
        conversation.state = WAITING
        conversation.person_seen_at, conversation.person_left_at = clock.now(), None
        conversation.person_read = conversation.person_reached = conversation.last

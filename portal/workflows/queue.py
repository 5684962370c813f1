"""What support's desk shows: the queue, what is known of a person's connections, and how articles do. Reads only."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.models import (
    Activity,
    Answer,
    ArticleView,
    Connection,
    Conversation,
    Disconnection,
    DisconnectionStep,
    Entry,
    Member,
    SelfCheck,
)
from portal.models import conversation as states
from portal.models.connection import CONNECTING
from portal.models.entry import MESSAGE
from portal.workflows import again
from portal.workflows.conversation import mine, person_of

WAITING, MINE, ALL, CLOSED = "waiting", "mine", "all", "closed"
SHOWN = 100


@dataclass(frozen=True)
class Row:
    """A conversation in a queue: `said` is its last message, `unread` how many of the person's nobody has read yet."""

    conversation: Conversation
    said: Entry | None
    unread: int


@dataclass(frozen=True)
class Known:
    """A person's context: no token, no address at the vendor, no title of an event."""

    connections: list[Connection]
    disconnections: list[tuple[Disconnection, list[DisconnectionStep], str]]
    """Each with the steps that can be tried again, and why none can be, or ""."""
    check: SelfCheck | None
    activities: list[Activity]
    others: list[Row]  # their other conversations, the latest first


@dataclass
class ArticleRow:
    """What one article's readers did."""

    views: int = 0
    faces: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    conversations: int = 0


def look(which: str, supporter_id: str, words: str = "") -> list[Row]:
    """One queue: the longest waiting first, else the latest first. `words` search all of them."""
    return _rows(_chosen(which, supporter_id, words))


def _chosen(which: str, supporter_id: str, words: str) -> list[Conversation]:
    found = select(Conversation).options(joinedload(Conversation.member).joinedload(Member.business)).limit(SHOWN)
    if words:
        return list(db.session.scalars(found.where(_holds(words)).order_by(Conversation.last_at.desc())))
    if which == MINE:
        mine = found.where(Conversation.assigned_id == supporter_id, Conversation.state != states.CLOSED)
        return list(db.session.scalars(mine.order_by(Conversation.last_at.desc())))
    if which == CLOSED:
        closed = found.where(Conversation.state == states.CLOSED)
        return list(db.session.scalars(closed.order_by(Conversation.closed_at.desc())))
    if which == ALL:
        return list(db.session.scalars(found.order_by(Conversation.last_at.desc())))
    return list(db.session.scalars(found.where(Conversation.state == states.WAITING).order_by(Conversation.last_at)))


def waiting() -> int:
    """How many people wait."""
    return db.session.scalar(select(func.count()).where(Conversation.state == states.WAITING)) or 0


def know(conversation: Conversation) -> Known:
    """Look up what there is about the person of a conversation."""
    member_id = conversation.member_id
    if member_id is None:
        return Known([], [], None, [], [])
    connections = select(Connection).where(Connection.member_id == member_id, Connection.state != CONNECTING)
    ended = select(Disconnection).where(Disconnection.member_id == member_id)
    return Known(
        connections=list(db.session.scalars(connections.order_by(Connection.created_at))),
        disconnections=[
            (row, again.choices(row), again.why_not(row))
            for row in db.session.scalars(ended.order_by(Disconnection.started_at.desc()).limit(3))
        ],
        check=db.session.scalars(
            select(SelfCheck).where(SelfCheck.member_id == member_id).order_by(SelfCheck.at.desc()).limit(1)
        ).first(),
        activities=list(
            db.session.scalars(select(Activity).where(_concerns(member_id)).order_by(Activity.at.desc()).limit(8))
        ),
        others=_rows([each for each in mine(person_of(conversation)) if each.id != conversation.id][:5]),
    )


def _concerns(member_id: str) -> ColumnElement[bool]:
    """What they did, and what somebody of us did for them."""
    theirs = (
        select(Connection.id).where(Connection.member_id == member_id),
        select(Disconnection.connection_id).where(Disconnection.member_id == member_id),
    )
    to_them = Activity.member_id.is_not(None) & or_(*(Activity.connection_id.in_(each) for each in theirs))
    return or_(Activity.member_id == member_id, to_them)


def _rows(conversations: list[Conversation]) -> list[Row]:
    """Two questions for all of them together, however many there are."""
    ids = [each.id for each in conversations]
    message = Entry.kind == MESSAGE, Entry.conversation_id.in_(ids)
    last = func.max(Entry.number).label("last")
    latest = select(Entry.conversation_id, last).where(*message).group_by(Entry.conversation_id).subquery()
    is_latest = (Entry.conversation_id == latest.c.conversation_id) & (Entry.number == latest.c.last)
    said = select(Entry).join(latest, is_latest).options(joinedload(Entry.author))
    unread = (
        select(Entry.conversation_id, func.count())
        .join(Conversation, Conversation.id == Entry.conversation_id)
        .where(*message, Entry.by_support.is_(False), Entry.number > Conversation.support_read)
        .group_by(Entry.conversation_id)
    )
    entries = {each.conversation_id: each for each in db.session.scalars(said)}
    counts = dict(db.session.execute(unread).all())
    return [Row(each, entries.get(each.id), counts.get(each.id, 0)) for each in conversations]


def articles() -> dict[str, ArticleRow]:
    """Per article: views, faces, reasons, and the conversations it led to."""
    rows: dict[str, ArticleRow] = {}
    for view in db.session.scalars(select(ArticleView)):
        rows.setdefault(view.article, ArticleRow()).views = view.views
    for answer in db.session.scalars(select(Answer).order_by(Answer.at.desc())):
        row = rows.setdefault(answer.article, ArticleRow())
        row.faces[answer.face] += 1
        if answer.reason and len(row.reasons) < 5:
            row.reasons.append(answer.reason)
    led = select(Conversation.article, func.count()).where(Conversation.article != "").group_by(Conversation.article)
    for article, number in db.session.execute(led):
        rows.setdefault(article, ArticleRow()).conversations = number
    return rows


def _holds(words: str) -> ColumnElement[bool]:
    like = "%" + words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    said = select(Entry.conversation_id).where(Entry.text.ilike(like, escape="\\"))
    people = select(Member.id).where(or_(Member.name.ilike(like, escape="\\"), Member.email.ilike(like, escape="\\")))
    return or_(
        Conversation.id.in_(said),
        Conversation.member_id.in_(people),
        Conversation.reply_to.ilike(like, escape="\\"),
    )

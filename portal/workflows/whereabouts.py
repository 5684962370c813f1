"""Whereabouts: whether the person of an open conversation is here, and on which page, for support to see.

A page says where it is when it is opened; from then on its stream stands for it. What streams know is noted once for a
whole process, so that an idle one costs no statement, and a killed process is not believed for long.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, ScalarResult, select, update

from portal import clock, live
from portal.db import db, reads_only
from portal.models import Conversation
from portal.models.conversation import CLOSED
from portal.workflows.conversation import Person, person_of

BELIEVED = timedelta(seconds=60)
MAY_RETURN = timedelta(minutes=10)
"""For so long an open stream is believed more than a note that the person left: another process wrote that one."""


def here(person: Person, page: str) -> None:
    """A page of theirs was opened, or looks around by itself because it has no stream."""
    _note(person, page=page[:300])


def back(person: Person) -> None:
    """A stream of theirs was opened."""
    with reads_only():
        away = db.session.scalar(select(Conversation.id).where(_open(person), Conversation.person_left_at.is_not(None)))
        db.session.rollback()
    if away is not None:
        _note(person)


def left(person: Person) -> None:
    """Their last page in this process was closed, or is in the background."""
    with reads_only():
        were = db.session.scalar(select(Conversation.id).where(_open(person), Conversation.person_left_at.is_(None)))
        db.session.rollback()
    if were is None:
        return
    with reads_only(False):
        for conversation in _locked(person):
            if conversation.person_left_at is None:
                conversation.person_left_at = clock.now()
                _tell(conversation.id)
        db.session.commit()


def renew(audiences: Collection[str]) -> None:
    """Everybody of these who has an open conversation is still here: one look for a whole process."""
    now = clock.now()
    with reads_only():
        recent = select(Conversation).where(
            Conversation.state != CLOSED, Conversation.person_seen_at > now - MAY_RETURN
        )
        present = [each for each in db.session.scalars(recent) if person_of(each).audience() in audiences]
        ids, returned = [each.id for each in present], [each.id for each in present if each.person_left_at is not None]
        db.session.rollback()
    if not ids:
        return
    with reads_only(False):
        seen = {"person_seen_at": now, "person_left_at": None}
        still_open = Conversation.id.in_(ids), Conversation.state != CLOSED
        db.session.execute(update(Conversation).where(*still_open).values(seen))
        for conversation_id in returned:
            _tell(conversation_id)
        db.session.commit()


def is_here(conversation: Conversation) -> bool:
    """Whether the person is believed to look at a page of ours at this moment."""
    seen = conversation.person_seen_at
    return conversation.person_left_at is None and seen is not None and seen > clock.now() - BELIEVED


def away_since(conversation: Conversation) -> datetime | None:
    """When they were here last; None when that is not known."""
    return conversation.person_left_at or conversation.person_seen_at


def _note(person: Person, page: str | None = None) -> None:
    with reads_only(False):
        for conversation in _locked(person):
            is_news = not is_here(conversation) or (page is not None and page != conversation.person_page)
            conversation.person_seen_at, conversation.person_left_at = clock.now(), None
            conversation.person_page = conversation.person_page if page is None else page
            if is_news:
                _tell(conversation.id)
        db.session.commit()


def _locked(person: Person) -> ScalarResult[Conversation]:
    ordered = select(Conversation).where(_open(person)).order_by(Conversation.id).with_for_update()
    return db.session.scalars(ordered.execution_options(populate_existing=True))


def _tell(conversation_id: str) -> None:
    live.tell(db.session(), live.SUPPORT, f"live-person-{conversation_id}")


def _open(person: Person) -> ColumnElement[bool]:
    own = Conversation.member_id == person.member_id if person.member_id else Conversation.visitor == person.visitor
    return own & (Conversation.state != CLOSED)

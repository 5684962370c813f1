"""Help: keep what readers think of an article and what they write to support."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from portal import clock
from portal.db import db
from portal.models import Answer, HelpMessage


def answer_article(article: str, reader: str, face: str) -> None:
    """One answer per reader and article; a later one replaces it."""
    try:
        _answer(article, reader, face)
    except IntegrityError:  # two first answers at once: the other one is there now
        db.session.rollback()
        _answer(article, reader, face)


def _answer(article: str, reader: str, face: str) -> None:
    answer = db.session.scalar(select(Answer).where(Answer.article == article, Answer.reader == reader))
    if answer is None:
        answer = Answer(article=article, reader=reader)
        db.session.add(answer)
    answer.face, answer.at = face, clock.now()
    db.session.commit()


def leave_message(text: str, reply_to: str, *, member_id: str | None, page: str, article: str) -> None:
    """Store a message for support."""
    db.session.add(
        HelpMessage(text=text, reply_to=reply_to, member_id=member_id, page=page[:300], article=article[:100])
    )
    db.session.commit()


def close_message(message_id: str) -> HelpMessage | None:
    """Mark a message as answered. None when there is none; closing twice keeps the first moment."""
    message = db.session.get(HelpMessage, message_id)
    if message is None:
        return None
    message.closed_at = message.closed_at or clock.now()
    db.session.commit()
    return message

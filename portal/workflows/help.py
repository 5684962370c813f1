"""Help: what readers think of an article, and how often each is read."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal import clock
from portal.db import db
from portal.models import Answer, ArticleView


def answer_article(article: str, reader: str, face: str, reason: str = "") -> None:
    """One answer per reader and article; a later one replaces it."""
    try:
        _answer(article, reader, face, reason)
    except IntegrityError:  # two first answers at once: the other one is there now
        db.session.rollback()
        _answer(article, reader, face, reason)


def _answer(article: str, reader: str, face: str, reason: str) -> None:
    answer = db.session.scalar(select(Answer).where(Answer.article == article, Answer.reader == reader))
    if answer is None:
        answer = Answer(article=article, reader=reader)
        db.session.add(answer)
    answer.face, answer.reason, answer.at = face, reason, clock.now()
    db.session.commit()


def count_view(article: str) -> None:
    """One more reader has opened it."""
    grow = update(ArticleView).where(ArticleView.article == article).values(views=ArticleView.views + 1)
    if db.session.execute(grow).rowcount == 0:  # type: ignore[attr-defined]
        try:
            with db.session.begin_nested():
                db.session.add(ArticleView(article=article, views=1))
        except IntegrityError:  # somebody else opened it first in this very moment
            db.session.execute(grow)
    db.session.commit()

"""Support: the messages people left, for our own support people only."""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, abort, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from portal.db import db
from portal.models import Answer, HelpMessage, Member
from portal.web import articles
from portal.web.guards import support_only
from portal.web.htmx import wants_fragment
from portal.workflows.help import close_message

bp = Blueprint("support", __name__)

SHOWN = 100


@bp.get("/support")
@support_only
def page() -> str:
    """What waits (oldest first), what was closed lately, and what readers think of the articles."""
    messages = select(HelpMessage).options(joinedload(HelpMessage.member).joinedload(Member.business)).limit(SHOWN)
    waiting = db.session.scalars(messages.where(HelpMessage.closed_at.is_(None)).order_by(HelpMessage.at)).all()
    closed = db.session.scalars(
        messages.where(HelpMessage.closed_at.is_not(None)).order_by(HelpMessage.closed_at.desc())
    ).all()
    return render_template("support/page.html", waiting=waiting, closed=closed, answers=count_answers())


@bp.post("/support/messages/<message_id>/close")
@support_only
def close(message_id: str) -> ResponseReturnValue:
    """This one has been answered."""
    message = close_message(message_id)
    if message is None:
        abort(404)
    if wants_fragment():
        return render_template("support/_message.html", message=message)
    return redirect(url_for("support.page"), 303)


def count_answers() -> list[tuple[str, Counter[str]]]:
    """Article title and its faces, for every article that has any."""
    rows = db.session.execute(select(Answer.article, Answer.face, func.count()).group_by(Answer.article, Answer.face))
    counts: dict[str, Counter[str]] = {}
    for slug, face, number in rows:
        counts.setdefault(slug, Counter())[face] = number
    return [(article.title, counts[article.slug]) for article in articles.all_articles() if article.slug in counts]

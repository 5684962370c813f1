"""Self-check: look at a connection step by step, and send the result to support in one click."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from portal.db import db, new_id
from portal.models import Connection, SelfCheck
from portal.routes.situation import situation
from portal.routes.talk import current, who
from portal.web import articles, asker
from portal.web.guards import me, own_connection
from portal.web.htmx import go, wants_fragment
from portal.web.limits import self_checks
from portal.web.redirects import page_path
from portal.workflows import conversation, disconnect
from portal.workflows import self_check as workflow

bp = Blueprint("self_check", __name__)


@bp.before_request
def lead_on() -> ResponseReturnValue | None:
    """A connection of theirs that was disconnected meanwhile has no self-check any more, but the page of its end."""
    connection_id = (request.view_args or {}).get("connection_id", "")
    severed = disconnect.find(connection_id) if db.session.get(Connection, connection_id) is None else None
    if severed is None or not current_user.is_authenticated or severed.member_id != me().id:
        return None
    return go(url_for("disconnect.show", disconnection_id=severed.id))


@bp.get("/self-check/<connection_id>")
def show(connection_id: str) -> str:
    """The last result, on a page."""
    return render_template("self_check/page.html", **_context(own_connection(connection_id).id))


@bp.post("/self-check/<connection_id>")
@self_checks
def start(connection_id: str) -> ResponseReturnValue:
    """Begin; htmx then asks for one step after the other, others get the result at the end."""
    check = workflow.start(me().id, own_connection(connection_id).id)
    if wants_fragment():
        return _part(connection_id)
    check_id = check.id if check else None
    while check_id and workflow.step(check_id):
        pass
    return redirect(url_for("self_check.show", connection_id=connection_id), 303)


@bp.post("/self-check/<connection_id>/next")
def next_step(connection_id: str) -> ResponseReturnValue:
    """One more step."""
    check = _last(own_connection(connection_id).id)
    if check is not None:
        workflow.step(check.id)
    return _part(connection_id) if wants_fragment() else redirect(f"/self-check/{connection_id}", 303)


@bp.post("/self-check/<connection_id>/send")
def send(connection_id: str) -> ResponseReturnValue:
    """The result as a message to support. Pressed twice it is sent once."""
    check = _last(own_connection(connection_id).id)
    if check is None:
        abort(404)
    message = conversation.Message(workflow.in_words(check), f"self-check-{check.id}")
    at, asking = current(), asker.asking()
    try:
        if at is not None:
            conversation_id = at.id
            conversation.say(conversation_id, message, author_id=me().id)
        else:
            told = situation(asking)
            conversation_id = conversation.start(
                who(), message, reply_to=me().email, page=asking.page, article="", situation=told
            )
    except conversation.Refused as refused:
        return render_template("self_check/_sent.html", fault=str(refused), place=new_id()[:6]), 422
    if wants_fragment():
        return render_template("self_check/_sent.html", fault="", asking=asking)
    return redirect(url_for("chat.show", conversation_id=conversation_id), 303)


def _last(connection_id: str) -> SelfCheck | None:
    own = select(SelfCheck).where(SelfCheck.connection_id == connection_id).order_by(SelfCheck.at.desc())
    return db.session.scalars(own.limit(1)).first()


def _part(connection_id: str) -> str:
    return render_template("self_check/_check.html", **_context(connection_id))


def _context(connection_id: str) -> dict[str, object]:
    check = _last(connection_id)
    about = {each["about"] for each in check.findings if each["about"]} if check else set()
    return {
        "connection_id": connection_id,
        "check": check,
        "next": workflow.title_of_next(check) if check else "",
        "articles": [each for each in articles.all_articles() if each.about & about][:2],
        "page": asker.asking().page or page_path(),
    }

"""Chat: a person's side of a conversation with support, in the help panel and on pages of its own."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from portal.db import db
from portal.models import Conversation
from portal.parts import parts
from portal.routes.images import serve
from portal.routes.situation import situation
from portal.routes.talk import current, own, presence_now, talk, who
from portal.web import asker
from portal.web.guards import public
from portal.web.htmx import wants_fragment
from portal.web.limits import visitors_messages
from portal.workflows import conversation as workflow
from portal.workflows import forget, reading, whereabouts
from portal.workflows.conversation import Message, Person, Refused
from portal.workflows.picture import LARGEST

bp = Blueprint("chat", __name__)


@bp.get("/chat")
@public
def page() -> str:
    """All of it on one page: the conversation at hand, and those before."""
    return _page(None)


@bp.get("/chat/<conversation_id>")
@public
def show(conversation_id: str) -> str:
    """One conversation, at an address of its own."""
    return _page(own(conversation_id))


@bp.post("/chat/messages")
@public
@visitors_messages
def send() -> ResponseReturnValue:
    """A message: into the conversation it names, else into a new one."""
    asking, at = asker.asking(), request.form.get("conversation", "")
    conversation = own(at) if at else None
    message = Message(request.form.get("text", "").strip(), request.form.get("sent_as", "")[:64], _image())
    reply_to = current_user.email if current_user.is_authenticated else request.form.get("reply_to", "").strip()
    try:
        if conversation is not None:
            workflow.say(conversation.id, message, author_id=who().member_id)
        else:
            if not asking.may_begin():
                raise Refused("Please sign in, or write to us from the sign-in page.")
            if not asker.ADDRESS.fullmatch(reply_to):
                raise Refused("Please enter an email address that we can answer to, such as name@example.com.")
            session["asked"] = session.get("asked", False) or not current_user.is_authenticated
            at = workflow.start(
                who(begins=True),
                message,
                reply_to=reply_to,
                page=asking.page,
                article=asking.article,
                situation=situation(asking),
            )
    except Refused as refused:
        return _refused(str(refused), asking, message.text, reply_to, conversation)
    if not wants_fragment():
        return redirect(url_for("chat.show", conversation_id=at, _anchor="composer-page"), 303)
    if conversation is not None:
        return _entries(db.session.get_one(Conversation, at), asking.place), 201
    return render_template("chat/_talk.html", **talk(asking, db.session.get_one(Conversation, at))), 201


@bp.get("/chat/<conversation_id>/entries")
@public
def entries(conversation_id: str) -> ResponseReturnValue:
    """What has been said, for a page that shows it already."""
    conversation = own(conversation_id)
    if not wants_fragment():
        return redirect(url_for("chat.show", conversation_id=conversation_id), 303)
    return _entries(conversation, asker.asking().place)


@bp.get("/chat/unread")
@public
def unread() -> ResponseReturnValue:
    """The number on the help icon."""
    if not wants_fragment():
        return redirect(url_for("chat.page"), 303)
    return render_template("chat/_unread.html", now=unread_now())


@bp.post("/chat/here")
@public
def here() -> ResponseReturnValue:
    """A page of theirs is open: support sees which one, while a conversation of theirs is."""
    if who() == Person(visitor=""):
        abort(404)
    whereabouts.here(who(), asker.asking().page)
    return "", 204


@bp.get("/chat/presence")
@public
def presence() -> ResponseReturnValue:
    """Who of support is here."""
    if not wants_fragment():
        return redirect(url_for("chat.page"), 303)
    return render_template("chat/_presence.html", place=asker.asking().place, **presence_now())


@bp.post("/chat/<conversation_id>/read")
@public
def read(conversation_id: str) -> ResponseReturnValue:
    """The person has it before their eyes (or, with `reached`, it has arrived on a page of theirs)."""
    number = request.form.get("number", type=int) or 0
    act = reading.reached if "reached" in request.form else reading.read
    act(own(conversation_id).id, number, by_support=False)
    return "", 204


@bp.post("/chat/<conversation_id>/typing")
@public
def typing(conversation_id: str) -> ResponseReturnValue:
    """The person is writing."""
    conversation = own(conversation_id)
    reading.typing(conversation.id, conversation.name(), by_support=False)
    return "", 204


@bp.get("/chat/images/<image_id>")
@public
def image(image_id: str) -> Response:
    """A picture of a conversation of theirs."""
    return serve(image_id, lambda conversation: who().owns(conversation))


@bp.get("/chat/<conversation_id>/export.json")
@public
def export(conversation_id: str) -> Response:
    """Everything of it, to keep."""
    answer = Response(json.dumps(forget.export(own(conversation_id)), indent=2), mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="conversation-{conversation_id[:8]}.json"'
    return answer


@bp.post("/chat/<conversation_id>/delete")
@public
def delete(conversation_id: str) -> ResponseReturnValue:
    """Gone for both sides, with its pictures."""
    forget.forget(own(conversation_id).id)
    return redirect(url_for("chat.page"), 303)


@bp.app_template_global("unread_now")
def unread_now() -> dict[str, Any]:
    """For the help icon of every page: the latest conversation, and how many answers are unread."""
    conversation = current()
    return {"conversation": conversation, "unread": reading.unread(who()) if conversation else 0}


@bp.app_template_global("sends_mail")
def sends_mail() -> bool:
    """Whether an answer that lies unread is mailed as well: nothing is promised that no mail server was set up for."""
    return bool(parts().settings.mail_url)


@bp.app_template_global("help_context")
def help_context() -> dict[str, Any]:
    """For another service behind the icon: the same situation that our own support would see."""
    return situation(asker.Asking(page=request.path))


def _page(conversation: Conversation | None) -> str:
    before = workflow.mine(who()) if who() != Person(visitor="") else []
    chosen = conversation or next(iter(before), None)
    return render_template("chat/page.html", before=before, **talk(asker.asking("page"), chosen))


def _entries(conversation: Conversation, place: str) -> str:
    said = workflow.entries(conversation, notes=False)
    return render_template("chat/_entries.html", conversation=conversation, said=said, place=place)


def _refused(
    fault: str, asking: asker.Asking, text: str, reply_to: str, conversation: Conversation | None
) -> ResponseReturnValue:
    if wants_fragment():
        return render_template("chat/_fault.html", fault=fault, place=asking.place), 422
    db.session.rollback()
    again = None if conversation is None else own(conversation.id)
    context = talk(asking, again, text=text, reply_to=reply_to, fault=fault)
    return render_template("chat/page.html", before=[], **context), 422


def _image() -> bytes:
    uploaded = request.files.get("image")
    return uploaded.read(LARGEST + 1) if uploaded else b""

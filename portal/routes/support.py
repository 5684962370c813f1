"""Support's desk: the queue, a conversation beside what the person's connections do, and acts on their behalf."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.db import db, new_id
from portal.models import Conversation, Member
from portal.models.member import SUPPORT
from portal.routes.images import serve
from portal.web import canned
from portal.web.guards import me, support_only
from portal.web.htmx import wants_fragment
from portal.workflows import conversation as workflow
from portal.workflows import desk, queue, reading
from portal.workflows import whereabouts as where
from portal.workflows.conversation import Message, Refused
from portal.workflows.picture import LARGEST

bp = Blueprint("support", __name__)


@bp.get("/support")
@support_only
def page() -> str:
    """The queue: who waits, mine, all, or what was searched for."""
    which, words = request.args.get("queue", queue.WAITING), request.args.get("q", "").strip()[:100]
    context = {
        "which": which,
        "words": words,
        "rows": queue.look(which, me().id, words),
        "waiting": queue.waiting(),
    }
    return render_template("support/_queue.html" if wants_fragment() else "support/page.html", **context)


@bp.get("/support/conversations/<conversation_id>")
@support_only
def show(conversation_id: str) -> str:
    """One conversation with its person's context."""
    return _show(conversation_or_404(conversation_id))


@bp.get("/support/conversations/<conversation_id>/entries")
@support_only
def entries(conversation_id: str) -> ResponseReturnValue:
    """What has been said, for a desk that shows it already."""
    conversation = conversation_or_404(conversation_id)
    return _entries(conversation) if wants_fragment() else _back(conversation_id)


@bp.get("/support/conversations/<conversation_id>/context")
@support_only
def context(conversation_id: str) -> ResponseReturnValue:
    """The person's context, for a desk that shows it already."""
    conversation = conversation_or_404(conversation_id)
    return _context(conversation) if wants_fragment() else _back(conversation_id)


@bp.get("/support/conversations/<conversation_id>/whereabouts")
@support_only
def whereabouts(conversation_id: str) -> ResponseReturnValue:
    """Whether the person is here, for a desk that shows the conversation already."""
    conversation = conversation_or_404(conversation_id)
    if not wants_fragment():
        return _back(conversation_id)
    return render_template("support/_whereabouts.html", conversation=conversation)


@bp.app_template_global("whereabouts_of")
def whereabouts_of(conversation: Conversation) -> dict[str, object]:
    """Whether its person is here, and since when not."""
    return {"here": where.is_here(conversation), "since": where.away_since(conversation)}


@bp.post("/support/conversations/<conversation_id>/messages")
@support_only
def send(conversation_id: str) -> ResponseReturnValue:
    """An answer, or a note that only supporters see."""
    conversation_or_404(conversation_id)
    uploaded, text = request.files.get("image"), request.form.get("text", "").strip()
    message = Message(text, request.form.get("sent_as", "")[:64], uploaded.read(LARGEST + 1) if uploaded else b"")
    note, seen = request.form.get("kind") == "note", request.form.get("seen", type=int) or 0
    try:
        workflow.say(conversation_id, message, author_id=me().id, by_support=True, note=note, seen=seen)
    except Refused as refused:
        return _refused(conversation_id, str(refused), text)
    return (_entries(conversation_or_404(conversation_id)), 201) if wants_fragment() else _back(conversation_id)


@bp.post("/support/conversations/<conversation_id>/assign")
@support_only
def assign(conversation_id: str) -> ResponseReturnValue:
    """Give it to somebody, or back to all."""
    conversation_or_404(conversation_id)
    chosen = db.session.get(Member, request.form.get("supporter", ""))
    desk.assign(conversation_id, chosen if chosen and chosen.role == SUPPORT else None)
    return _context(conversation_or_404(conversation_id)) if wants_fragment() else _back(conversation_id)


@bp.post("/support/conversations/<conversation_id>/close")
@support_only
def close(conversation_id: str) -> ResponseReturnValue:
    """It is settled."""
    conversation_or_404(conversation_id)
    desk.close(conversation_id, me())
    return _back(conversation_id)


@bp.post("/support/conversations/<conversation_id>/reopen")
@support_only
def reopen(conversation_id: str) -> ResponseReturnValue:
    """It is not."""
    conversation_or_404(conversation_id)
    desk.reopen(conversation_id, me())
    return _back(conversation_id)


@bp.post("/support/conversations/<conversation_id>/read")
@support_only
def read(conversation_id: str) -> ResponseReturnValue:
    """A supporter has it before their eyes (or, with `reached`, it has arrived at the desk)."""
    act = reading.reached if "reached" in request.form else reading.read
    act(conversation_or_404(conversation_id).id, request.form.get("number", type=int) or 0, by_support=True)
    return "", 204


@bp.post("/support/conversations/<conversation_id>/typing")
@support_only
def typing(conversation_id: str) -> ResponseReturnValue:
    """A supporter is writing; the person and the other supporters see it."""
    reading.typing(conversation_or_404(conversation_id).id, me().name, by_support=True)
    return "", 204


@bp.post("/support/conversations/<conversation_id>/retry")
@support_only
def retry(conversation_id: str) -> ResponseReturnValue:
    """Try a step of a disconnection once more: one that waits, or one that was given up."""
    row_id, name = request.form.get("disconnection", ""), request.form.get("step", "")
    return _act(conversation_id, lambda why: desk.retry_step(conversation_id, row_id, name, me(), why))


@bp.post("/support/conversations/<conversation_id>/disconnect")
@support_only
def disconnect(conversation_id: str) -> ResponseReturnValue:
    """Start a disconnection on the person's behalf."""
    row_id = request.form.get("connection", "")
    return _act(conversation_id, lambda why: desk.disconnect_for(conversation_id, row_id, me(), why))


@bp.get("/support/images/<image_id>")
@support_only
def image(image_id: str) -> Response:
    """A picture that somebody sent."""
    return serve(image_id, lambda conversation: True)


@bp.get("/support/articles")
@support_only
def articles() -> str:
    """For authors: how often each article is read, what readers think, and what they ask after it."""
    return render_template("support/articles.html", rows=queue.articles())


def conversation_or_404(conversation_id: str) -> Conversation:
    """Any person's conversation: supporters may see them all."""
    conversation = db.session.get(Conversation, conversation_id)
    if conversation is None:
        abort(404)
    return conversation


def _act(conversation_id: str, act: Callable[[str], None]) -> ResponseReturnValue:
    conversation_or_404(conversation_id)
    reason = request.form.get("reason", "").strip()[:300]
    try:
        act(reason)
    except Refused as refused:
        if wants_fragment():
            return render_template("support/_act_fault.html", fault=str(refused)), 422
        return _show(conversation_or_404(conversation_id), str(refused)), 422
    return _context(conversation_or_404(conversation_id)) if wants_fragment() else _back(conversation_id)


def _refused(conversation_id: str, fault: str, text: str) -> ResponseReturnValue:
    if wants_fragment():
        return render_template("support/_fault.html", fault=fault), 422
    return _show(conversation_or_404(conversation_id), text_fault=fault, text=text), 422


def _back(conversation_id: str) -> ResponseReturnValue:
    return redirect(url_for("support.show", conversation_id=conversation_id), 303)


def _entries(conversation: Conversation) -> str:
    said = workflow.entries(conversation, notes=True)
    return render_template("support/_entries.html", conversation=conversation, said=said)


def _context(conversation: Conversation) -> str:
    return render_template("support/_context.html", conversation=conversation, fault="", **_known(conversation))


def _show(conversation: Conversation, fault: str = "", text_fault: str = "", text: str = "") -> str:
    chosen = canned.find(request.args.get("answer", ""))
    return render_template(
        "support/conversation.html",
        conversation=conversation,
        said=workflow.entries(conversation, notes=True),
        answers=canned.all_answers(),
        sent_as=new_id(),
        text=text or (chosen.text if chosen else ""),
        text_fault=text_fault,
        fault=fault,
        **_known(conversation),
    )


def _known(conversation: Conversation) -> dict[str, object]:
    return {"known": queue.know(conversation), "supporters": desk.supporters()}

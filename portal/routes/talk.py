"""Whose conversation it is, and what a template needs to show one: for the panel, the pages and the self-check."""

from __future__ import annotations

from typing import Any

from flask import abort
from flask_login import current_user

from portal.db import db, new_id
from portal.models import Conversation
from portal.web import asker
from portal.workflows import conversation as workflow
from portal.workflows import presence
from portal.workflows.conversation import Person
from portal.workflows.picture import LARGEST


def who(*, begins: bool = False) -> Person:
    """The person at this browser; a visitor has a name only once they have begun a conversation."""
    if current_user.is_authenticated:
        return Person(member_id=current_user.id)
    if begins:
        asker.reader()
    return Person(visitor=asker.visitor() or "")


def own(conversation_id: str) -> Conversation:
    """A conversation of theirs; 404 for everybody else's."""
    conversation = db.session.get(Conversation, conversation_id)
    if conversation is None or not who().owns(conversation):
        abort(404)
    return conversation


def current() -> Conversation | None:
    """The conversation that the panel goes on with: the latest one."""
    person = who()
    return workflow.latest(person) if person.member_id or person.visitor else None


def talk(asking: asker.Asking, conversation: Conversation | None, **more: Any) -> dict[str, Any]:
    """What chat/_talk.html needs."""
    said = workflow.entries(conversation, notes=False) if conversation else []
    return {
        "asking": asking,
        "place": asking.place,
        "conversation": conversation,
        "said": said,
        "sent_as": new_id(),
        "text": asking.draft,
        "largest": LARGEST,
        **presence_now(),
        **more,
    }


def presence_now() -> dict[str, Any]:
    """Who is here, when support's hours begin again, and how long an answer usually takes."""
    return {"here": presence.here(), "opens_at": presence.opens_at(), "usual": presence.usual_answer()}

"""Forget conversations: after a set time, or when the person says so. Export them before."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from portal import clock, durable
from portal.db import db
from portal.models import Attachment, Conversation, Entry, LimitWindow, LiveEvent, SelfCheck
from portal.parts import parts
from portal.workflows.conversation import entries, locked, tell


@durable.every("forget_conversations", "41 3 * * *")
def forget_old() -> int:
    """Everything that nobody has touched for so many days; returns how many conversations."""
    until = clock.now() - timedelta(days=parts().settings.conversation_days)
    ids = list(db.session.scalars(select(Conversation.id).where(Conversation.last_at < until)))
    db.session.rollback()
    for conversation_id in ids:
        forget(conversation_id)
    db.session.execute(delete(SelfCheck).where(SelfCheck.at < until))
    db.session.commit()
    return len(ids)


@durable.every("forget_live_events", "*/5 * * * *")
def forget_live_events() -> None:
    """Events that every process has long heard."""
    db.session.execute(delete(LiveEvent).where(LiveEvent.at < clock.now() - timedelta(minutes=5)))
    db.session.commit()


@durable.every("forget_limits", "23 * * * *")
def forget_limits() -> None:
    """Counts of limits whose time is over."""
    db.session.execute(delete(LimitWindow).where(LimitWindow.until < clock.now()))
    db.session.commit()


def forget(conversation_id: str) -> None:
    """Delete one conversation with everything in it."""
    conversation = locked(conversation_id)
    own = select(Entry.id).where(Entry.conversation_id == conversation_id)
    db.session.execute(delete(Attachment).where(Attachment.entry_id.in_(own)))
    db.session.execute(delete(Entry).where(Entry.conversation_id == conversation_id))
    tell(conversation)
    db.session.delete(conversation)
    db.session.commit()


def export(conversation: Conversation) -> dict[str, Any]:
    """Everything of a conversation that its person may see, pictures included."""
    return {
        "conversation": conversation.id,
        "started_at": conversation.started_at.isoformat(),
        "page": conversation.page,
        "article": conversation.article,
        "situation": conversation.situation,
        "entries": [
            {
                "number": entry.number,
                "at": entry.at.isoformat(),
                "kind": entry.kind,
                "from": "support" if entry.by_support else "you",
                "text": entry.text,
                "image": _data_url(entry.image),
            }
            for entry in entries(conversation, notes=False, last=100_000)
        ],
    }


def _data_url(image: Attachment | None) -> str | None:
    return f"data:{image.kind};base64,{base64.b64encode(image.content).decode()}" if image else None

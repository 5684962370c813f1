"""The situation of whoever asks for help: what their connections do, which step fails, which error they met."""

from __future__ import annotations

from typing import Any

from flask_login import current_user
from sqlalchemy import select

from portal.db import db
from portal.models import Connection, Disconnection
from portal.models.connection import CONNECTED, CONNECTING, DISCONNECTING, NEEDS_ATTENTION
from portal.web.asker import Asking
from portal.workflows.disconnect import BY_NAME

STATES = {CONNECTED: "Connected", NEEDS_ATTENTION: "Needs attention", DISCONNECTING: "Disconnecting"}


def situation(asking: Asking) -> dict[str, Any]:
    """In words, to be kept with a conversation and shown to both sides. No secret, no address, no title of an event."""
    found: dict[str, Any] = {"Page": asking.page} if asking.page else {}
    if asking.reference:
        found["Error reference"] = asking.reference
    if not current_user.is_authenticated:
        return found
    for number, connection in enumerate(connections(current_user.id), 1):
        found[f"Connection {number}"] = in_words(connection)
    running = running_disconnection(current_user.id)
    if running is not None:
        found["Disconnecting"] = step_in_words(running)
    return found


def topics() -> set[str]:
    """What the articles should be about: the reasons, states and failing steps of this member."""
    if not current_user.is_authenticated:
        return {"visitor"}
    found: set[str] = set()
    for connection in connections(current_user.id):
        found |= {connection.state, connection.attention_reason or ""}
    running = running_disconnection(current_user.id)
    step = running.step_at_work() if running else None
    if step is not None:
        found |= {DISCONNECTING, "step_in_trouble" if step.trouble else ""}
    return (found or {"not_connected"}) - {""}


def connections(member_id: str) -> list[Connection]:
    """What a member has, half-made sign-ins left out."""
    own = select(Connection).where(Connection.member_id == member_id, Connection.state != CONNECTING)
    return list(db.session.scalars(own.order_by(Connection.created_at)))


def running_disconnection(member_id: str) -> Disconnection | None:
    """A disconnection at work, if there is one."""
    own = select(Disconnection).where(Disconnection.member_id == member_id, Disconnection.finished_at.is_(None))
    return db.session.scalars(own.order_by(Disconnection.started_at.desc())).first()


def in_words(connection: Connection) -> str:
    """`Needs attention (token expired)`."""
    told = STATES.get(connection.state, connection.state)
    reason = connection.attention_reason
    return f"{told} ({reason.replace('_', ' ')})" if reason and connection.needs_attention() else told


def step_in_words(disconnection: Disconnection) -> str:
    """`Withdraw our access: Microsoft is not answering.`"""
    step = disconnection.step_at_work()
    if step is None:
        return "Writing the receipt"
    title = BY_NAME[step.name].title if step.name in BY_NAME else step.name
    return f"{title}: {step.trouble}" if step.trouble else title

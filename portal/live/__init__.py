"""Tell open pages that something of theirs has changed, across threads, processes and machines.

`tell` is part of the writer's transaction: what is rolled back is never told. An event carries no content, only what
to look at again; the page then asks for it, so a lost or doubled event can neither lose nor double anything shown.
PostgreSQL carries events by NOTIFY; on SQLite they are rows that one watcher per process reads (`ears.py`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import insert, text
from sqlalchemy.orm import Session

from portal.models.live_event import LiveEvent

CHANNEL = "coordinoter_live"
LOOK_AGAIN = "live-all"  # every part of a page asks for itself again
ABOUT = "live-context"  # something is new of the person whom a supporter's page is about
SIGNED_OUT = "live-signed-out"  # the sign-in that a stream stands on was ended: so does the stream
SUPPORT = "support"  # the audience of every supporter
EVERYBODY = "everybody"


@dataclass(frozen=True)
class Event:
    """`to` names the audience, `what` the browser event; `data` is a few words at most and no secret."""

    to: str
    what: str
    data: str = ""


def member(member_id: str) -> str:
    """The audience of all pages that one member has open."""
    return f"member:{member_id}"


def sign_in(sign_in_id: str) -> str:
    """The audience of all pages of one browser that is signed in."""
    return f"sign-in:{sign_in_id}"


def tell(session: Session, to: str, what: str, data: str = "") -> None:
    """Tell an audience, if and when the caller's transaction commits."""
    if session.get_bind().dialect.name == "postgresql":
        payload = json.dumps([to, what, data])
        session.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": CHANNEL, "payload": payload})
    else:
        session.execute(insert(LiveEvent).values(to=to, what=what, data=data))

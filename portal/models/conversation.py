"""A conversation between a person and support. It is deleted after a set time, or when the person deletes it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal import clock
from portal.db import Base, UTCDateTime, new_id
from portal.models.member import Member

WAITING, ANSWERED, CLOSED = "waiting", "answered", "closed"


class Conversation(Base):
    """`visitor` is the hash of a browser's random name, for somebody who could not sign in; else there is a member.

    `situation` is what the page knew when help was asked for: state, failed step, error reference; no secret, no title.
    The four numbers say up to which entry each side was reached, and has read; `mailed` up to which we wrote a mail.
    `person_page`, `person_seen_at` and `person_left_at` say where the person was seen last, and when they went away.
    """

    __tablename__ = "conversations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    visitor: Mapped[str | None] = mapped_column(String(64), index=True)
    reply_to: Mapped[str] = mapped_column(String(254), default="")
    state: Mapped[str] = mapped_column(String(10), default=WAITING, index=True)
    assigned_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    page: Mapped[str] = mapped_column(String(300), default="")
    article: Mapped[str] = mapped_column(String(100), default="", index=True)
    situation: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    last_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now, index=True)
    answered_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last: Mapped[int] = mapped_column(default=0)
    person_reached: Mapped[int] = mapped_column(default=0)
    person_read: Mapped[int] = mapped_column(default=0)
    support_reached: Mapped[int] = mapped_column(default=0)
    support_read: Mapped[int] = mapped_column(default=0)
    mailed: Mapped[int] = mapped_column(default=0)
    person_page: Mapped[str] = mapped_column(String(300), default="")
    person_seen_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    person_left_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    member: Mapped[Member | None] = relationship(foreign_keys=[member_id])
    assigned: Mapped[Member | None] = relationship(foreign_keys=[assigned_id])

    def is_closed(self) -> bool:
        """Whether support has closed it; a new message of the person opens it again."""
        return self.state == CLOSED

    def is_waiting(self) -> bool:
        """Whether the person waits for support."""
        return self.state == WAITING

    def name(self) -> str:
        """Whom support talks to."""
        return self.member.name if self.member else "A visitor"

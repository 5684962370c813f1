"""One entry of a conversation: a message, a note among supporters, or what was done."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal import clock
from portal.db import Base, UTCDateTime, new_id
from portal.models.attachment import Attachment
from portal.models.member import Member

MESSAGE, NOTE, EVENT = "message", "note", "event"


class Entry(Base):
    """`number` counts within its conversation. `sent_as` is the writer's own name for it: sent twice, stored once."""

    __tablename__ = "entries"
    __table_args__ = (
        UniqueConstraint("conversation_id", "number"),
        UniqueConstraint("conversation_id", "sent_as", name="uq_entries_sent_as"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id"), index=True)
    number: Mapped[int]
    sent_as: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(10), default=MESSAGE)
    by_support: Mapped[bool] = mapped_column(default=False)
    author_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    text: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    author: Mapped[Member | None] = relationship()
    image: Mapped[Attachment | None] = relationship()

    def is_note(self) -> bool:
        """Whether only supporters may see it."""
        return self.kind == NOTE

"""A message left for support from the help panel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal import clock
from portal.db import Base, UTCDateTime, new_id
from portal.models.member import Member


class HelpMessage(Base):
    """`page` is the path it was written on. A visitor who is not signed in leaves an address to answer to."""

    __tablename__ = "help_messages"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now, index=True)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    reply_to: Mapped[str] = mapped_column(String(254))
    page: Mapped[str] = mapped_column(String(300), default="")
    article: Mapped[str] = mapped_column(String(100), default="")
    text: Mapped[str] = mapped_column(Text)
    closed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    member: Mapped[Member | None] = relationship()

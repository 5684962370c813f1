"""What a reader said of a help article: one of three faces, once per reader, changeable."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime, new_id

HAPPY, NEUTRAL, UNHAPPY = "happy", "neutral", "unhappy"


class Answer(Base):
    """`reader` is the member's id, or a random id kept in the cookie of a visitor who is not signed in."""

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("article", "reader"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    article: Mapped[str] = mapped_column(String(100))
    reader: Mapped[str] = mapped_column(String(40))
    face: Mapped[str] = mapped_column(String(10))
    reason: Mapped[str] = mapped_column(String(500), default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

"""That a supporter has the desk open at this moment."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, UTCDateTime
from portal.models.member import Member


class Presence(Base):
    """`seen_at` is renewed while a stream of theirs is open, so that a killed process is not believed for long."""

    __tablename__ = "presences"

    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(UTCDateTime)
    member: Mapped[Member] = relationship()

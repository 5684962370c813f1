"""A copy: an event of theirs that we hold, until they disconnect."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, UTCDateTime, new_id


class Copy(Base):
    """Times are UTC. `subject` is empty for events marked private: we never keep what those are about."""

    __tablename__ = "copies"
    __table_args__ = (UniqueConstraint("calendar_id", "provider_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)
    calendar_id: Mapped[str] = mapped_column(ForeignKey("calendars.id"), index=True)
    provider_id: Mapped[str] = mapped_column(String(512))
    subject: Mapped[str] = mapped_column(String(500))
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)
    ends_at: Mapped[datetime] = mapped_column(UTCDateTime)
    is_all_day: Mapped[bool] = mapped_column(default=False)
    is_private: Mapped[bool] = mapped_column(default=False)
    show_as: Mapped[str] = mapped_column(String(20), default="busy")
    round: Mapped[str] = mapped_column(String(32), default="")

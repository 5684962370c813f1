"""An event on its way to open pages, on SQLite: PostgreSQL has NOTIFY and leaves this table empty."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime


class LiveEvent(Base):
    """SQLite has one writer at a time, so ids grow in the order of commits; they are never used twice."""

    __tablename__ = "live_events"
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    to: Mapped[str] = mapped_column(String(80))
    what: Mapped[str] = mapped_column(String(80))
    data: Mapped[str] = mapped_column(String(200), default="")
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

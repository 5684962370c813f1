"""The sealed tokens of a connection (never readable here; `vault.py` opens them)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime


class Token(Base):
    """One row per connection. Token columns are never indexed: index pages would keep deleted bytes.

    `lapses_at` is the latest expiry of every access token ever issued to us for this connection.
    """

    __tablename__ = "tokens"

    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    epoch: Mapped[int]
    access_sealed: Mapped[str] = mapped_column(Text)
    refresh_sealed: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    lapses_at: Mapped[datetime] = mapped_column(UTCDateTime)
    issued_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

"""What happened to a connection, for the person and for support. Ids only: no address, no event."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime, new_id


class Activity(Base):
    """`event` reads `connection:connect`, `connection:disconnect:done` and so on: what, then which act."""

    __tablename__ = "activities"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    member_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    connection_id: Mapped[str | None] = mapped_column(String(32), index=True)
    event: Mapped[str] = mapped_column(String(60))
    detail: Mapped[str] = mapped_column(String(300), default="")

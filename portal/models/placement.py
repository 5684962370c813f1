"""A placement: where a meeting of ours stands in a calendar of theirs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime, new_id


class Placement(Base):
    """Our own map of ids: Microsoft does not promise to tell us our mark when it tells us of changes.

    Written before Microsoft is asked: `provider_id` is None until its answer came, and the event may exist or not.
    """

    __tablename__ = "placements"
    __table_args__ = (UniqueConstraint("connection_id", "meeting_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)
    meeting_id: Mapped[str] = mapped_column(ForeignKey("meetings.id"), index=True)
    provider_id: Mapped[str | None] = mapped_column(String(512))
    calendar_id: Mapped[str | None] = mapped_column(String(512))
    """The vendor's id of the calendar it was asked for last, which we may not write to, or not even see, any more."""
    written_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

"""A calendar of a connected account, and how far we have read it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, UTCDateTime, new_id


class Calendar(Base):
    """`delta_link_sealed` is Microsoft's bookmark: it carries state of the mailbox, so it is sealed like a token.

    `window_ends_at` is the end of the time window baked into the bookmark; a new round starts well before it.
    """

    __tablename__ = "calendars"
    __table_args__ = (UniqueConstraint("connection_id", "provider_id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)
    provider_id: Mapped[str] = mapped_column(String(512))
    name: Mapped[str] = mapped_column(String(255))
    is_default: Mapped[bool] = mapped_column(default=False)
    can_edit: Mapped[bool] = mapped_column(default=False)
    delta_link_sealed: Mapped[str | None] = mapped_column(Text)
    window_ends_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

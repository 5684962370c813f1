"""A sign-in: what a session cookie stands on. Without its row the cookie, and every copy of it, opens nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime, new_id

LASTS = timedelta(days=31)  # then the person signs in again


class SignIn(Base):
    """One row per browser that is signed in; signing out there deletes it, and it alone."""

    __tablename__ = "sign_ins"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), index=True)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now, index=True)

"""An approval that a member waits for: their Microsoft administrator has to allow the app first."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime, new_id


class Approval(Base):
    """One row while a member waits; gone as soon as they are connected, or wait no longer. Names no account."""

    __tablename__ = "approvals"
    __table_args__ = (UniqueConstraint("member_id", "integration"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    integration: Mapped[str] = mapped_column(String(40))
    since: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

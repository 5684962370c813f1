"""A look at one connection, step by step, that a member asked for: what was found, and what helps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime, new_id


class SelfCheck(Base):
    """`findings` holds one entry per step: name, result, sentence, who can mend it, the way. No secret, no title.

    It goes with its connection. What was sent to support of it is a message like any other, and names no connection.
    """

    __tablename__ = "self_checks"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)

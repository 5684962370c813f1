"""How often something limited was done lately, shared by all processes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, UTCDateTime


class LimitWindow(Base):
    """`key` is a keyed hash: no address of anybody can be read from it. `hits` are seconds since 1970, latest first."""

    __tablename__ = "limit_windows"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    hits: Mapped[list[float]] = mapped_column(JSON, default=list)
    until: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

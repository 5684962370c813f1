"""A receipt: the lasting, signed account of a disconnection. It names no mailbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal import clock
from portal.db import Base, UTCDateTime


class Receipt(Base):
    """`body` is canonical JSON (the bytes that were signed); `signature` is Ed25519 (RFC 8032) in base64."""

    __tablename__ = "receipts"

    disconnection_id: Mapped[str] = mapped_column(ForeignKey("disconnections.id"), primary_key=True)
    body: Mapped[str] = mapped_column(Text)
    signature: Mapped[str] = mapped_column(String(100))
    key_id: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

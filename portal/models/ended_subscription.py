"""The mark of a subscription whose connection was severed: enough to know a late notification by, and nothing else."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, UTCDateTime


class EndedSubscription(Base):
    """`mark` is a hash over two random texts, the subscription's id and its client state: it leads back to neither.

    The daily watch deletes the row at `forget_at`, when the subscription has long ended by itself.
    """

    __tablename__ = "ended_subscriptions"

    mark: Mapped[str] = mapped_column(String(64), primary_key=True)
    disconnection_id: Mapped[str] = mapped_column(ForeignKey("disconnections.id"), index=True)
    forget_at: Mapped[datetime] = mapped_column(UTCDateTime)

"""A subscription: the vendor's registration of our webhook, as we know it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, UTCDateTime, new_id

DELETED, LAPSED, MISSING = "deleted", "lapsed", "missing"
"""How one ended: the vendor deleted it for us, or had it no more: past its end, or before, whoever ended it."""


class Subscription(Base):
    """Written before the vendor is asked: `provider_id` is None until its answer came, and `expires_at` the latest end.

    The id is part of the address that the vendor calls, so that ours can be told from one another without an answer.
    The client state is a shared secret that every notification must carry, so it is sealed. It is None of one that we
    did not know before a disconnection found it. `ended_how`: what a disconnection found of it, or did; that is kept
    until the copies are erased.
    """

    __tablename__ = "subscriptions"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), index=True)
    provider_id: Mapped[str | None] = mapped_column(String(64), unique=True)
    client_state_sealed: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    renew_at: Mapped[datetime] = mapped_column(UTCDateTime)
    """When the next sync renews it: well before its end, or at once when the vendor asks for a fresh token."""
    ended_how: Mapped[str | None] = mapped_column(String(20))

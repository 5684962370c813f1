"""A connection: one member's link to one account of an integration."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal import clock
from portal.db import Base, UTCDateTime, new_id
from portal.models.member import Member

CONNECTING, CONNECTED, NEEDS_ATTENTION, DISCONNECTING = "connecting", "connected", "needs_attention", "disconnecting"

LEFT_OUT = "Could not be "
"""How the note of a sync begins that was finished, and tells what it left out."""


class Connection(Base):
    """The fence stands here: every write of tokens, copies, links or subscriptions checks `state` and `epoch`.

    While `state` is `connecting` the sign-in columns hold what the callback must match (RFC 6749 section 10.12,
    RFC 7636): single use, ten minutes, for this member in this browser only. `replaces_id` names the connection that
    a Reconnect is meant to mend.
    """

    __tablename__ = "connections"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    integration: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20), default=CONNECTING)
    epoch: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)

    sign_in_state_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    sign_in_sealed: Mapped[str | None] = mapped_column(Text)
    sign_in_browser: Mapped[str | None] = mapped_column(String(64))
    sign_in_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    replaces_id: Mapped[str | None] = mapped_column(String(32), index=True)

    account_tenant: Mapped[str | None] = mapped_column(String(255))
    account_subject: Mapped[str | None] = mapped_column(String(255))
    account_address: Mapped[str | None] = mapped_column(String(254))
    account_name: Mapped[str | None] = mapped_column(String(200))
    account_kind: Mapped[str | None] = mapped_column(String(20))
    connected_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    attention_reason: Mapped[str | None] = mapped_column(String(40))
    attention_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    write_calendar_id: Mapped[str | None] = mapped_column(String(32))
    """The calendar (ours by id) that meetings of this member are written into; none unless they chose one."""

    refresh_lease: Mapped[str | None] = mapped_column(String(32))
    refresh_lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sync_wanted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sync_lease: Mapped[str | None] = mapped_column(String(32))
    sync_lease_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    sync_note: Mapped[str | None] = mapped_column(String(200))
    last_sync_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    member: Mapped[Member] = relationship()

    def is_living(self) -> bool:
        """Whether it has (or had, and waits for) an account: neither half-made nor going away."""
        return self.state in (CONNECTED, NEEDS_ATTENTION)

    def needs_attention(self) -> bool:
        """Whether the person has to act before calendars sync again."""
        return self.state == NEEDS_ATTENTION

    def left_out_something(self) -> bool:
        """Whether the last sync came to its end, but for what its note names."""
        return self.sync_note is not None and self.sync_note.startswith(LEFT_OUT)

    def is_syncing(self) -> bool:
        """Whether a sync is at work or waits for its turn."""
        if self.state != CONNECTED:
            return False
        return self.sync_wanted_at is not None or self.sync_lease is not None

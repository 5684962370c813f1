"""A disconnection: the durable run that severs one connection. It outlives the connection it ends."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal import clock
from portal.db import Base, UTCDateTime, new_id
from portal.models.disconnection_step import DisconnectionStep
from portal.models.member import Member


class Disconnection(Base):
    """`connection_id` is no foreign key: the row it names goes away while this one stays.

    `sought_in_vain`: the ids of meetings whose writing was never answered, and which were not in the calendar when it
    was too late for them to come. `meetings_missing` of the `meetings` were not there any more when they were to be
    removed. `lapses_at` and `subscription_ends_at` say until when Microsoft may still honour what we could not take
    back.
    """

    __tablename__ = "disconnections"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    connection_id: Mapped[str] = mapped_column(String(32), unique=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    integration: Mapped[str] = mapped_column(String(40))
    epoch: Mapped[int]
    account_kind: Mapped[str] = mapped_column(String(20))
    calendars: Mapped[int] = mapped_column(default=0)
    copies: Mapped[int] = mapped_column(default=0)
    subscriptions: Mapped[int] = mapped_column(default=0)
    meetings: Mapped[int] = mapped_column(default=0)
    meetings_missing: Mapped[int] = mapped_column(default=0)
    remove_meetings: Mapped[bool] = mapped_column(default=False)
    sought_in_vain: Mapped[list[str]] = mapped_column(JSON, default=list)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime, default=clock.now)
    deadline_at: Mapped[datetime] = mapped_column(UTCDateTime)
    erase_now_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    lapses_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    subscription_ends_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mailed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    started_by_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    reason: Mapped[str] = mapped_column(String(300), default="")
    """Why support, or an admin, began it for the member; empty when they did it themselves."""
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    # What came after: what only the person can do, and whether looking again found it done. Not part of the receipt.
    said_done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    check_state_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    check_browser: Mapped[str | None] = mapped_column(String(64))
    check_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    check_finding: Mapped[str | None] = mapped_column(String(20))
    # And what was thrown away: notifications that the vendor still sent when they were ended, or could not be.
    late_notifications: Mapped[int] = mapped_column(default=0)
    last_notification_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    late_lapses_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """Until when a token may live that was won, and dropped, when the receipt was signed already."""
    keys_rewritten_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    """When the key was gone and the key database rewritten: by the disconnection itself, or by the daily watch."""
    key_found: Mapped[bool | None]
    """Whether the key was there to be destroyed: noted before it is. Empty until the key database was looked into."""
    key_found_in: Mapped[str | None] = mapped_column(String(32))
    """The id of the key database in which it was found last."""
    member: Mapped[Member] = relationship(foreign_keys=[member_id])
    started_by: Mapped[Member | None] = relationship(foreign_keys=[started_by_id])
    steps: Mapped[list[DisconnectionStep]] = relationship(order_by="DisconnectionStep.position")

    def is_finished(self) -> bool:
        """Whether every step has its outcome and the receipt exists."""
        return self.finished_at is not None

    def was_proven_late(self) -> bool:
        """Whether the daily watch had to do what the disconnection itself could not: rewrite the key database."""
        return None not in (self.keys_rewritten_at, self.finished_at) and self.keys_rewritten_at > self.finished_at  # type: ignore[operator]

    def step_at_work(self) -> DisconnectionStep | None:
        """The step that is being tried at this moment, or the next one."""
        return next((step for step in self.steps if step.outcome is None), None)

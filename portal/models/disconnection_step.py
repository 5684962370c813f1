"""One step of a disconnection: a promise and how it ended."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, UTCDateTime, new_id
from portal.models.member import Member

DONE, LEFT_TO_YOU, EXPIRES, FAILED = "Done", "LeftToYou", "Expires", "Failed"


class DisconnectionStep(Base):
    """`outcome` stays empty until the step ended. `detail` is one sentence for people; it names no mailbox.

    `count` and `request_ids` may hold earlier what a try did that did not do all.

    `in_vain` says that its last try waited for as long as a call may take, and had no answer.

    `again_at`, `again_by` and `again_reason` say when, by whom of support and why it was last asked for once more.
    """

    __tablename__ = "disconnection_steps"
    __table_args__ = (UniqueConstraint("disconnection_id", "position"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    disconnection_id: Mapped[str] = mapped_column(ForeignKey("disconnections.id"), index=True)
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(40))
    outcome: Mapped[str | None] = mapped_column(String(20))
    detail: Mapped[str] = mapped_column(Text, default="")
    trouble: Mapped[str | None] = mapped_column(String(200))
    request_ids: Mapped[list[str]] = mapped_column(JSON, default=list)
    count: Mapped[int | None]
    link: Mapped[str | None] = mapped_column(String(500))
    link_title: Mapped[str | None] = mapped_column(String(200))
    attempts: Mapped[int] = mapped_column(default=0)
    in_vain: Mapped[bool] = mapped_column(default=False)
    started_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    again_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    again_by_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"))
    again_reason: Mapped[str] = mapped_column(String(300), default="")
    again_by: Mapped[Member | None] = relationship()

    def is_given_up(self) -> bool:
        """Whether it ended otherwise than promised."""
        return self.outcome in (LEFT_TO_YOU, EXPIRES, FAILED)

    def reopen(self) -> None:
        """Forget how it ended: the next try decides. What was asked of the vendor, and done, stays."""
        self.outcome = self.ended_at = self.trouble = self.link = self.link_title = None
        self.detail, self.in_vain = "", False

    def is_running(self) -> bool:
        """Whether this is the step at work."""
        return self.started_at is not None and self.outcome is None

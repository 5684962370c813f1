"""An image in a conversation. It lies in the database, so that it goes when the conversation goes."""

from __future__ import annotations

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, new_id


class Attachment(Base):
    """`kind` is the media type that its first bytes prove, never what the sender called it."""

    __tablename__ = "attachments"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    entry_id: Mapped[str] = mapped_column(ForeignKey("entries.id"), unique=True)
    kind: Mapped[str] = mapped_column(String(20))
    size: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)

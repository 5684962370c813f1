"""A member: a person in a business, who signs in with the portal's own password."""

from __future__ import annotations

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.db import Base, new_id
from portal.models.business import Business

MEMBER, ADMIN, SUPPORT = "member", "admin", "support"


class Member(Base):
    """A person who can sign in. `role` is `member`, `admin` (of the business) or `support` (our own people)."""

    __tablename__ = "members"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    business_id: Mapped[str] = mapped_column(ForeignKey("businesses.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(20), default=MEMBER)
    password_hash: Mapped[str] = mapped_column(String(200))
    business: Mapped[Business] = relationship()

    # What Flask-Login asks of a user (its UserMixin would bring untyped methods).
    is_authenticated = True
    is_active = True
    is_anonymous = False

    def get_id(self) -> str:
        """The name that the session cookie carries."""
        return self.id

    def is_admin(self) -> bool:
        """Whether this person decides for their business."""
        return self.role == ADMIN

    def is_support(self) -> bool:
        """Whether this person answers help messages."""
        return self.role == SUPPORT

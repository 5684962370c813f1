"""A business: the tenant. Its members see its meetings and nothing of anybody else's."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base, new_id


class Business(Base):
    """A customer of Coordinoter."""

    __tablename__ = "businesses"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(200))
    removes_grants: Mapped[bool] = mapped_column(default=False)
    """Whether the business's admin wants us to remove people's permissions at Microsoft when they disconnect."""

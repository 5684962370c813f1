"""How often a help article was opened."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.db import Base


class ArticleView(Base):
    """A number per article; who read it is not kept."""

    __tablename__ = "article_views"

    article: Mapped[str] = mapped_column(String(100), primary_key=True)
    views: Mapped[int] = mapped_column(default=0)

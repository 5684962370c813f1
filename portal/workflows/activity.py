"""Record what happened to a connection."""

from __future__ import annotations

from portal.db import db
from portal.models import Activity


def record(event: str, *, member_id: str | None, connection_id: str | None, detail: str = "") -> None:
    """Add an entry to the caller's transaction. `detail` never holds an address, a title or a secret."""
    db.session.add(Activity(event=event, member_id=member_id, connection_id=connection_id, detail=detail))

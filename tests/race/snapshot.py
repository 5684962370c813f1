"""The rows that a play begins with, kept: to connect and sync anew for each play would be most of its time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, delete, insert, select

from portal.db import Base, db
from portal.keyring.table import data_keys
from portal.parts import parts

CAST = ("businesses", "members", "meetings")
"""Tables that no play changes."""
TABLES = tuple(table for table in reversed(Base.metadata.sorted_tables) if table.name not in CAST)
"""Whatever a play may leave, children before their parents."""

Rows = Sequence[dict[str, Any]]


def clear() -> None:
    """An empty house."""
    db.session.rollback()
    for table in TABLES:
        db.session.execute(delete(table))
    db.session.commit()
    with parts().vault.engine.begin() as keys:
        keys.execute(delete(data_keys))


@dataclass(frozen=True)
class Snapshot:
    """Rows of every table of a play, and the data keys."""

    rows: dict[Table, Rows]
    keys: Rows

    @classmethod
    def take(cls) -> Snapshot:
        """As it is at this moment."""
        rows = {table: [dict(row) for row in db.session.execute(select(table)).mappings()] for table in TABLES}
        db.session.rollback()
        with parts().vault.engine.begin() as keys:
            return cls(rows, [dict(row) for row in keys.execute(select(data_keys)).mappings()])

    def put_back(self) -> None:
        """As it was, and nothing else."""
        clear()
        for table in reversed(TABLES):
            if self.rows[table]:
                db.session.execute(insert(table), self.rows[table])
        db.session.commit()
        if self.keys:
            with parts().vault.engine.begin() as keys:
                keys.execute(insert(data_keys), self.keys)

"""Where a connection may be named, in any table: what the proof of a disconnection, and the daily watch, look through.

Every column that is wide enough for an id is asked, whatever it is called, so that a table that is added later is
looked into from its first day. Left out is what is known to hold something else: `HOLDS_ELSE`, one by one.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Select, String, Table, exists, literal, or_, select, union_all

from portal.db import Base, db
from portal.models import Connection

LASTING = {"disconnections", "disconnection_steps", "receipts", "activities"}
"""Tables that may go on naming the connection's id: the account of what happened. They hold nothing of the mailbox."""

HOLDS_ELSE = {
    "answers": {"article", "reader", "reason"},
    "article_views": {"article"},
    "businesses": {"name"},
    "calendars": {"provider_id", "name", "delta_link_sealed"},
    "connections": {
        *("integration", "sign_in_state_hash", "sign_in_sealed", "sign_in_browser", "sync_lease", "refresh_lease"),
        *("account_tenant", "account_subject", "account_address", "account_name", "attention_reason", "sync_note"),
        "write_calendar_id",
    },
    "conversations": {"visitor", "reply_to", "page", "person_page", "article"},
    "copies": {"provider_id", "subject", "round"},
    "counters": {"name"},
    "entries": {"sent_as", "text"},
    "executors": {"id"},
    "live_events": {"to", "what", "data"},
    "meetings": {"title", "place"},
    "members": {"email", "name", "password_hash"},
    "approvals": {"integration"},
    "placements": {"provider_id"},
    "subscriptions": {"provider_id", "client_state_sealed"},
    "tokens": {"access_sealed", "refresh_sealed"},
}
"""Text of people, of the vendor, or sealed: it names no row of ours, and much of it has no index to ask by."""

WIDTH = 32  # letters of an id


def columns(table: Table) -> list[Column[Any]]:
    """Those of a table that could name a connection; none of one that is meant to last."""
    if table.name in LASTING:
        return []
    return [each for each in table.c if is_owner(each) or _is_wide_enough(each)]


def is_owner(column: Column[Any]) -> bool:
    """Whether it can name nothing but connections."""
    return column is Connection.__table__.c.id or any(is_owner(key.column) for key in column.foreign_keys)


def tables() -> list[Table]:
    """Those that are asked."""
    return [each for each in Base.metadata.sorted_tables if columns(each)]


def found(connection_id: str) -> list[str]:
    """The names of the tables that name a connection, in one look at all of them."""
    names: set[str] = set(db.session.scalars(union_all(*(_named_in(each, connection_id) for each in tables()))))
    return [each.name for each in tables() if each.name in names]


def _is_wide_enough(column: Column[Any]) -> bool:
    names_another_row = any(key.column.primary_key for key in column.foreign_keys)
    if not isinstance(column.type, String) or names_another_row:
        return False
    wide = column.type.length is None or column.type.length >= WIDTH
    return wide and column.name not in HOLDS_ELSE.get(column.table.name, ())


def _named_in(table: Table, connection_id: str) -> Select[Any]:
    named = or_(*(each == connection_id for each in columns(table)))
    return select(literal(table.name)).where(exists().select_from(table).where(named))

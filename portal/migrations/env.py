"""Alembic's environment: runs the migrations on the application's own engine (Flask-Migrate gives the context)."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app

from portal.db import Base, UTCDateTime, db


def _render(kind: str, value: Any, _context: AutogenContext) -> str | Literal[False]:
    # Migrations must not depend on our column types of tomorrow.
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(value, UTCDateTime) else False


def _ours(_object: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
    # On SQLite the engine's own tables share our file; they are not ours to migrate.
    return not (kind == "table" and reflected and compare_to is None)


def run() -> None:
    """Apply the migrations over one connection."""
    with db.engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            render_item=_render,
            include_object=_ours,
            **current_app.extensions["migrate"].configure_args,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()

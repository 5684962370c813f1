"""The business portal's home: what comes up next, and how the calendar connection is."""

from __future__ import annotations

from flask import Blueprint, render_template
from sqlalchemy import select

from portal.db import db
from portal.models import Connection
from portal.models.connection import CONNECTING
from portal.routes.agenda import next_days
from portal.web.guards import me

bp = Blueprint("home", __name__)

DAYS = 3


@bp.get("/")
def page() -> str:
    """The first page after signing in."""
    connections = db.session.scalars(
        select(Connection)
        .where(Connection.member_id == me().id, Connection.state != CONNECTING)
        .order_by(Connection.connected_at)
    ).all()
    return render_template("home/page.html", days=next_days(DAYS), connections=connections)

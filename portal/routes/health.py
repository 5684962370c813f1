"""Whether this process can serve: it answers, and its database does."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from portal.db import db
from portal.web.guards import public

bp = Blueprint("health", __name__)


@bp.get("/healthz")
@public
def check() -> ResponseReturnValue:
    """200 `ok`, or the 500 of a database that does not answer."""
    db.session.execute(text("SELECT 1"))
    return "ok\n", 200, {"Content-Type": "text/plain; charset=utf-8"}

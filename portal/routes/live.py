"""Live: the stream that tells an open page what to look at again."""

from __future__ import annotations

from flask import Blueprint, Response

from portal.web import live
from portal.web.guards import public

bp = Blueprint("live", __name__)


@bp.get("/live")
@public
def stream() -> Response:
    """Public to the guard only, which would send a stream to the sign-in page; a stranger gets 401."""
    return live.stream()

"""Live: the stream that tells an open page what to look at again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app
from flask_login import current_user

from portal import clock
from portal.web import live
from portal.web.guards import public
from portal.workflows import presence

bp = Blueprint("live", __name__)

RENEW = 20.0  # seconds


@bp.get("/live")
@public
def stream() -> Response:
    """Public to the guard only, which would send a stream to the sign-in page; a stranger gets 401."""
    if current_user.is_authenticated and current_user.is_support():
        app = cast(Any, current_app)._get_current_object()
        return live.stream(_beat_of(app, current_user.id, live.audiences()[0]))
    return live.stream()


def _beat_of(app: Flask, member_id: str, pages: str) -> Callable[[bool], None]:
    """A supporter's open pages say that they are here; the few statements this costs are theirs alone."""
    renewed = [-RENEW]

    def beat(is_open: bool) -> None:
        now = clock.monotonic()
        if is_open and now - renewed[0] < RENEW:
            return
        with app.app_context():
            if is_open:
                renewed[0] = now
                presence.arrive(member_id)
            elif pages not in live.hub().audiences():
                presence.leave(member_id)

    return beat

"""Live: the stream that tells an open page what to look at again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from flask import Blueprint, Flask, Response, current_app, request
from flask_login import current_user

from portal import clock
from portal.db import db
from portal.models import Conversation
from portal.routes.talk import who
from portal.web import live
from portal.web.guards import public
from portal.workflows import presence, whereabouts
from portal.workflows.conversation import Person, person_of

bp = Blueprint("live", __name__)

RENEW = 20.0  # seconds

Beat = Callable[[bool], None]


@bp.get("/live")
@public
def stream() -> Response:
    """Public to the guard only, which would send a stream to the sign-in page; a stranger gets 401."""
    app = cast(Any, current_app)._get_current_object()
    own = live.audiences()
    if not own:
        return live.stream(lambda is_open: None)
    pages = own[0]
    if current_user.is_authenticated and current_user.is_support():
        member_id = current_user.id
        # The few statements that their renewing costs are theirs alone.
        beat = _beat(app, pages, [-RENEW], partial(presence.arrive, member_id), partial(presence.leave, member_id))
        return live.stream(beat, _about())
    person = who()
    whereabouts.back(person)
    of_process = app.extensions.setdefault("whereabouts", [clock.monotonic()])
    return live.stream(_beat(app, pages, of_process, _renew_everybody, partial(_left, person)))


def _about() -> str:
    """Whose news a supporter's page shows besides its own."""
    conversation = db.session.get(Conversation, request.args.get("about", ""))
    return person_of(conversation).audience() if conversation else ""


def _beat(app: Flask, pages: str, renewed: list[float], renew: Callable[[], None], leave: Callable[[], None]) -> Beat:
    """Renew now and then while a stream is open; leave at its end, unless another one to the same `pages` stays.

    `renewed` holds the moment of the last renewing; streams for which one renewing does share it.
    """

    def beat(is_open: bool) -> None:
        now = clock.monotonic()
        if is_open and now - renewed[0] < RENEW:
            return
        with app.app_context():
            if is_open:
                renewed[0] = now
                renew()
            elif pages not in live.hub().audiences():
                leave()

    return beat


def _renew_everybody() -> None:
    whereabouts.renew(live.hub().audiences())


def _left(person: Person) -> None:
    """A stop of the server sends nobody away: their pages come back to the next one."""
    if not live.hub().ending.is_set():
        whereabouts.left(person)

"""Live: the stream that tells an open page what to look at again."""

from __future__ import annotations

from collections.abc import Callable
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
    if current_user.is_authenticated and current_user.is_support():
        return live.stream(_beat_of_supporter(app, current_user.id, own[0]), _about())
    person = who()
    whereabouts.back(person)
    return live.stream(_beat_of_person(app, person, own[0]))


def _about() -> str:
    """Whose news a supporter's page shows besides its own."""
    conversation = db.session.get(Conversation, request.args.get("about", ""))
    return person_of(conversation).audience() if conversation else ""


def _beat_of_supporter(app: Flask, member_id: str, pages: str) -> Beat:
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


def _beat_of_person(app: Flask, person: Person, pages: str) -> Beat:
    """One stream of this process speaks for all of them every now and then; the end of each speaks for itself."""
    renewed: list[float] = app.extensions.setdefault("whereabouts", [clock.monotonic()])

    def beat(is_open: bool) -> None:
        now = clock.monotonic()
        if is_open and now - renewed[0] < RENEW:
            return
        with app.app_context():
            if is_open:
                renewed[0] = now
                whereabouts.renew(live.hub().audiences())
            elif pages not in live.hub().audiences() and not live.hub().ending.is_set():
                whereabouts.left(person)

    return beat

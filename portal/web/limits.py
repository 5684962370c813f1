"""Limits on what can be guessed or flooded: failed sign-ins, and messages to support. Reading is never limited.

All processes count together, in the database (limits_storage.py).
"""

from __future__ import annotations

from flask import Flask, Response, abort, render_template, request
from flask_limiter import Limiter, RequestLimit
from flask_limiter.util import get_remote_address
from flask_login import current_user
from limits import parse

from portal.web.htmx import wants_fragment
from portal.web.limits_storage import DatabaseStorage

limiter = Limiter(
    key_func=get_remote_address, storage_uri=f"{DatabaseStorage.STORAGE_SCHEME[0]}://", strategy="moving-window"
)


def setup(app: Flask) -> None:
    """No headers: they would tell a guesser how many guesses are left."""
    app.config.setdefault("RATELIMIT_HEADERS_ENABLED", False)
    limiter.init_app(app)


def account_and_address() -> str:
    """One person at one machine: a stranger's guesses never lock the owner out elsewhere."""
    email = request.form.get("email", "").strip().lower()[:254]
    return f"{email}|{get_remote_address()}"


FIVE = parse("5 per 5 minutes")


def begin_sign_in() -> None:
    """Count this attempt before its password is looked at: many at the same time are counted all the same. 429."""
    if not limiter.limiter.hit(FIVE, "sign-in", account_and_address()):
        abort(429)


def end_sign_in() -> None:
    """It was the right person: their earlier slips are forgotten."""
    limiter.limiter.clear(FIVE, "sign-in", account_and_address())


def has_failed(response: Response) -> bool:
    """Whether a sign-in was refused: only those count."""
    return response.status_code == 422


def was_stored_or_shown(response: Response) -> bool:
    """Whether a check was done: what is refused asks nobody anything."""
    return response.status_code < 400


def was_stored(response: Response) -> bool:
    """Whether a message was stored: corrections of a form do not count."""
    return response.status_code in {201, 303}


failed_sign_ins_by_address = limiter.limit("60 per hour", deduct_when=has_failed, methods=["POST"])


def say_so(_limit: RequestLimit) -> Response | None:
    """Where a message is written, rather than above the page, which the open panel may cover."""
    if not wants_fragment():
        return None
    place = "panel" if request.form.get("place") == "panel" else "page"
    fault = "That was a lot at once. Please wait a few minutes, then send it again."
    return Response(render_template("chat/_fault.html", fault=fault, place=place), status=429)


self_checks = limiter.limit("10 per minute", deduct_when=was_stored_or_shown)
visitors_messages = limiter.limit(
    "5 per 10 minutes; 15 per day",
    deduct_when=was_stored,
    exempt_when=lambda: bool(current_user.is_authenticated),
    on_breach=say_so,
)

"""Calm pages for everything that goes wrong. Each has a reference that also stands in the log."""

from __future__ import annotations

import secrets

from flask import Flask, current_app, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from portal.config import ConfigError
from portal.db import db
from portal.web.guards import sign_in_required
from portal.web.htmx import wants_fragment

WORDS: dict[int, tuple[str, str]] = {
    400: (
        "We did not understand that",
        "The request was incomplete or malformed. Go back, reload the page and try again.",
    ),
    403: ("This page is not for you", "You are signed in, but this page belongs to people with another role."),
    404: (
        "There is nothing here",
        "The address is wrong, or what it led to is gone. Receipts and articles keep their addresses.",
    ),
    405: ("That does not work this way", "This address is the target of a button, not a page to open."),
    409: (
        "Somebody was quicker",
        "This was just changed in another place, so nothing was done. Look at the page again, then try once more.",
    ),
    413: ("That is too much at once", "What was sent is larger than the portal accepts."),
    429: ("Too many tries", "Please wait a few minutes, then try again. Nothing has been changed."),
    500: (
        "Something broke on our side",
        "It is not your fault. Nothing was lost that had been confirmed; please try again in a moment.",
    ),
}
EXPIRED = (
    "This page was open for too long",
    "For your safety a form works only in the session it was made for. Reload the page and press the button again.",
)
MISCONFIGURED = (
    "This portal is not set up completely",
    "A setting is missing or wrong; the operator finds the sentence in the log under the reference below.",
)


def setup(app: Flask) -> None:
    """Install the handlers; one for everything HTTP knows, one for settings that turn out wrong."""
    app.register_error_handler(HTTPException, show_http_error)
    app.register_error_handler(ConfigError, show_config_error)


def show_http_error(error: HTTPException) -> ResponseReturnValue:
    """Redirects pass; everything else becomes a page, or a notice for htmx."""
    code = error.code or 500
    if code < 400 or error.response is not None:
        return error
    title, text = WORDS.get(code, WORDS[500] if code >= 500 else WORDS[400])
    if isinstance(error, CSRFError):
        way = sign_in_required()  # reloading would not help whoever is not signed in any more
        if way is not None:
            return way
        title, text = EXPIRED
    if isinstance(error, InternalServerError):
        db.session.rollback()
    headers = {name: value for name, value in error.get_headers() if name in {"Allow", "Retry-After"}}
    return answer(code, title, text, headers, reason=type(error).__name__)


def show_config_error(error: ConfigError) -> ResponseReturnValue:
    """The sentence is for the operator, so it goes to the log; the reader gets the reference."""
    return answer(500, *MISCONFIGURED, {}, reason=str(error))


def answer(code: int, title: str, text: str, headers: dict[str, str], *, reason: str) -> ResponseReturnValue:
    """Render it, note it, never fail while doing so. Addresses are logged without their query: it may hold codes."""
    reference = secrets.token_hex(4).upper()
    log = current_app.logger.error if code >= 500 else current_app.logger.info
    log("reference %s: %d %s at %s %s", reference, code, reason, request.method, request.path)
    context = {"code": code, "title": title, "text": text, "reference": reference}
    try:
        if wants_fragment():
            headers = headers | {"HX-Retarget": "#notices", "HX-Reswap": "innerHTML"}
            return render_template("errors/_error.html", **context), code, headers
        return render_template("errors/page.html", **context), code, headers
    except Exception:
        current_app.logger.exception("reference %s: the error page could not be made either", reference)
        return render_template("errors/bare.html", **context), code, headers

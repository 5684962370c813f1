"""The graph.microsoft.com half of the sandbox."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from . import (
    batch,
    calendars,
    delta,
    directory,
    errors,
    events,
    exchange_ids,
    grants,
    me,
    paths,
    subscriptions,
    throttle,
)
from .errors import GraphError


def init_app(app: Flask) -> None:
    for part in (me, calendars, events, delta, subscriptions, batch, grants, directory, exchange_ids):
        app.register_blueprint(part.blueprint)
    throttle.init_app(app)
    app.wsgi_app = paths.OneSpelling(app.wsgi_app)  # type: ignore[method-assign]
    app.register_error_handler(GraphError, errors.answer)
    app.register_error_handler(404, _unknown)
    app.register_error_handler(405, _unknown)


def _unknown(problem: HTTPException) -> Response | HTTPException:
    """What Graph answers where it has nothing; other paths keep Flask's plain page."""
    if not request.path.startswith("/v1.0"):
        return problem
    if problem.code == 405:
        return errors.answer(GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed here."))
    return errors.answer(GraphError(400, "BadRequest", f"Resource not found for the segment '{request.path}'."))

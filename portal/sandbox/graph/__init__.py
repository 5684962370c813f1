"""The graph.microsoft.com half of the sandbox."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from . import calendars, delta, errors, events, me, subscriptions
from .errors import GraphError


def init_app(app: Flask) -> None:
    for part in (me, calendars, events, delta, subscriptions):
        app.register_blueprint(part.blueprint)
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

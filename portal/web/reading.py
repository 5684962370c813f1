"""Pages that only look take no write lock on SQLite, so that reading never waits for a writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, g, request

from portal.db import reads_only

View = TypeVar("View", bound=Callable[..., Any])


def setup(app: Flask) -> None:
    """Open read-only transactions for GET and HEAD, unless the view says that it writes."""
    app.before_request(begin_reading)
    app.teardown_request(end_reading)


def writes_on_get(view: View) -> View:
    """Mark a view that must write although it answers a GET: the callback of a sign-in."""
    view.__dict__["writes_on_get"] = True
    return view


def begin_reading() -> None:
    """Enter the read-only mode where the request deserves it."""
    view = current_app.view_functions.get(request.endpoint or "")
    if request.method in {"GET", "HEAD"} and not getattr(view, "writes_on_get", False):
        g.reading = reads_only()
        g.reading.__enter__()


def end_reading(_error: BaseException | None = None) -> None:
    """Leave it again; runs after every request, however it ended."""
    reading = g.pop("reading", None)
    if reading is not None:
        reading.__exit__(None, None, None)

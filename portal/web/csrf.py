"""Every unsafe request carries a token of the session it comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask
from flask_wtf.csrf import CSRFProtect

View = TypeVar("View", bound=Callable[..., Any])

csrf = CSRFProtect()


def setup(app: Flask) -> None:
    """Tokens live as long as the session: a page left open over night still works in the morning."""
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    app.config.setdefault("WTF_CSRF_SSL_STRICT", True)
    csrf.init_app(app)


def called_by_machines(view: View) -> View:
    """Mark a view that another server calls: it has no session and proves itself by a secret of its own."""
    csrf.exempt(view)
    return view

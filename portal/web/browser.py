"""A random name for this browser session, so that an answer is taken only where its question was asked."""

from __future__ import annotations

import secrets

from flask import session


def browser_name() -> str:
    """The name, made on first use. It lives in the signed session cookie and is stored elsewhere only as a hash."""
    if "browser" not in session:
        session["browser"] = secrets.token_urlsafe(24)
    name: str = session["browser"]
    return name

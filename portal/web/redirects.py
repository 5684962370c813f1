"""Paths of our own that a request names, judged before anybody is sent there."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request


def own_path(value: str | None, default: str = "/") -> str:
    """`value` if it is a plain path of this portal, else `default`.

    Browsers drop tabs and newlines from addresses and read `\\` as `/`, so `/\\t/evil.example` would leave the portal.
    """
    if not value or len(value) > 500:
        return default
    if any(ord(character) <= 32 or ord(character) == 127 for character in value) or "\\" in value:
        return default
    if not value.startswith("/") or value.startswith("//"):
        return default
    parts = urlsplit(value)
    return default if parts.scheme or parts.netloc else value


def page_path() -> str:
    """The path of the page that the browser shows: htmx names it, else it is the one asked for."""
    current = request.headers.get("HX-Current-URL")
    if not current:
        return request.path
    parts = urlsplit(current)
    return own_path(parts.path, request.path) if parts.netloc == request.host else request.path


def way_back() -> str:
    """Where to go on after a sign-in that this request made necessary."""
    headers = request.headers
    is_page = "HX-Request" not in headers or "HX-Boosted" in headers or "HX-History-Restore-Request" in headers
    if request.method in {"GET", "HEAD"} and is_page:
        return own_path(request.full_path.rstrip("?"))
    return page_path() if "HX-Current-URL" in headers else "/"

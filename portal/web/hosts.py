"""Answer only to our own name: a foreign Host header could otherwise reach a demo whose passwords are published."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request

from portal.config import Settings, is_loopback


def setup(app: Flask) -> None:
    """Check the Host header of every request."""
    app.before_request(refuse_foreign_hosts)


def refuse_foreign_hosts() -> None:
    """400 for a Host that is not ours. The health check is exempt: load balancers call it by address."""
    settings: Settings = current_app.extensions["settings"]
    if request.path == "/healthz" or is_ours(request.host, settings):
        return
    abort(400, "This address is not one of this portal's own.")


def is_ours(host: str, settings: Settings) -> bool:
    """Whether a Host header names this portal. In demo mode any loopback name does."""
    if settings.demo:
        return is_loopback(f"//{host}")
    return host.lower() in {urlsplit(settings.base_url).netloc.lower(), *settings.extra_hosts}

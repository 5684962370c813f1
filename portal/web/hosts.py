"""Whom we answer as, and to whom: only under our own name, and to the caller that our own proxies name.

A foreign Host header could otherwise reach a demo whose passwords are published; and without the caller's address all
the world would share one limit on failed sign-ins.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, abort, current_app, request
from werkzeug.middleware.proxy_fix import ProxyFix

from portal.config import Settings, is_loopback


def setup(app: Flask) -> None:
    """Check the Host header of every request; believe as many proxies as the operator says there are, and no more."""
    settings: Settings = app.extensions["settings"]
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
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

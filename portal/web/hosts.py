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
    """400 for a Host that is not ours. The health check is exempt: load balancers call it by address.

    A demo also looks who connects: a server that somebody bound to all addresses would else take any caller who writes
    a loopback name into that header.
    """
    settings: Settings = current_app.extensions["settings"]
    if settings.demo and not _is_this_machine():
        abort(403, "The demo answers only on the machine that it runs on: its passwords are published.")
    if request.path == "/healthz" or is_ours(request.host, settings):
        return
    abort(400, "This address is not one of this portal's own.")


def _is_this_machine() -> bool:
    """Whether the connection comes from here (a local socket does), whatever a proxy says of the caller behind it."""
    environ = request.environ
    peer = environ.get("werkzeug.proxy_fix.orig", environ).get("REMOTE_ADDR") or ""
    peer = peer.removeprefix("::ffff:")  # an IPv4 caller of a socket that takes both
    return not peer or is_loopback(f"//[{peer}]" if ":" in peer else f"//{peer}")


def is_ours(host: str, settings: Settings) -> bool:
    """Whether a Host header names this portal. In demo mode any loopback name does."""
    if settings.demo:
        return is_loopback(f"//{host}")
    return host.lower() in {urlsplit(settings.base_url).netloc.lower(), *settings.extra_hosts}

"""Who may talk to the sandbox at all, and the headers every answer carries.

Its accounts have no passwords, so it answers only under loopback names, unless SANDBOX_PUBLIC_URL names its host.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request

from .config import Config
from .context import config, host_is_ours

CSP = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "frame-src *",  # front-channel logout opens the applications' own addresses
        "base-uri 'none'",
        "frame-ancestors 'none'",
        # No form-action: Chromium applies it to the redirect that follows a form, which leads to the application.
    )
)


def init_app(app: Flask) -> None:
    app.before_request(_check_host)
    app.after_request(_headers)


def _check_host() -> Response | None:
    if host_is_ours(request.host):
        return None
    held: Config = config()
    # Behind a proxy the world may reach the protocol under any name that the proxy lets through, but never the desk.
    if held.public_url and not request.path.startswith("/desk"):
        return None
    return current_app.response_class(
        "The sandbox answers only under loopback names, unless SANDBOX_PUBLIC_URL names its host.\n",
        status=421,
        mimetype="text/plain",
    )


def cross_site() -> bool:
    """Whether a browser says that this request was sent from somebody else's page."""
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}
    _, _, host = origin.partition("://")
    # Behind a proxy the Host may have been rewritten, so a named origin is enough; on loopback every port is another
    # site, the portal's own included.
    named = urlsplit(origin).hostname in config().named_hosts
    return not (named or (host_is_ours(host) and host == request.host))


def _headers(answer: Response) -> Response:
    answer.headers.setdefault("X-Content-Type-Options", "nosniff")
    answer.headers["X-Sandbox"] = "This is not Microsoft"
    if answer.mimetype == "text/html":
        answer.headers.setdefault("Content-Security-Policy", CSP)
        answer.headers.setdefault("Cache-Control", "no-store")
        # same-origin, not no-referrer: the latter would blank the Origin header that the desk checks.
        answer.headers.setdefault("Referrer-Policy", "same-origin")
    return answer

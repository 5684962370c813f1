"""Response headers: a strict content policy, no foreign frames, no signed-in page in any cache."""

from __future__ import annotations

from flask import Flask, Response, current_app, request, session

from portal.config import Settings
from portal.web import elsewhere
from portal.widget import Widget

PERSONAL = {"https://login.microsoftonline.com": " https://login.live.com"}
"""Where an authority may send the browser straight on for personal accounts: browsers hold `form-action` against every
redirect that follows a form. https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc"""

FOR_EVER = "public, max-age=31536000, immutable"


def setup(app: Flask) -> None:
    """Add the headers to every response."""
    app.after_request(add)


def policy(authority: str, chosen: Widget = Widget()) -> str:  # noqa: B008 - frozen
    """The Content-Security-Policy: everything from here, forms also to where people sign in at Microsoft."""
    directives = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": f"'self' {authority}{PERSONAL.get(authority, '')}",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {hosts}" for name, hosts in elsewhere.allow(directives, chosen).items())


def add(response: Response) -> Response:
    """Headers that a view set by itself stay."""
    settings: Settings = current_app.extensions["settings"]
    headers = response.headers
    headers.setdefault("Content-Security-Policy", policy(settings.microsoft_authority, settings.help_widget))
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=()")
    if settings.base_url.startswith("https://"):
        headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    if request.endpoint == "static":
        headers["Cache-Control"] = FOR_EVER if "v" in request.args else "no-cache"
        return response
    # One address answers with a page or a part of it: caches must tell them apart.
    response.vary.update(("HX-Request", "HX-Request-Type"))
    if "_user_id" in session or response.status_code >= 400:
        headers["Cache-Control"] = "no-store"
    else:
        headers.setdefault("Cache-Control", "no-cache, private")
    return response

"""Ending the browser's session with Microsoft. Refresh tokens of a web application stay alive."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request

from ..context import login_origin, storage
from .cookies import current_session, forget
from .errors import CODES
from .tenants import check

blueprint = Blueprint("logout", __name__)


@blueprint.get("/error")
def explain() -> Response:
    """The page that `error_uri` leads to. https://learn.microsoft.com/entra/identity-platform/reference-error-codes"""
    number = request.args.get("code", "")
    text = CODES.get(
        int(number) if number.isdecimal() and len(number) < 9 else 0, ("", "This code is not known here.")
    )[1]
    return make_response(render_template("sandbox/explain.html", number=number, text=text))


@blueprint.get("/<tenant>/oauth2/nativeclient")
def native_client(tenant: str) -> Response:
    """The blank page that programs without a web server have Microsoft redirect to."""
    return make_response(render_template("sandbox/explain.html", number="", text="You may close this window."))


@blueprint.route("/<tenant>/oauth2/v2.0/logout", methods=["GET", "POST"])
def logout(tenant: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#send-a-sign-out-request

    Calls the front-channel logout URL of every application visited, from a page with one frame each. Goes on to
    `post_logout_redirect_uri` only if that is registered. Leaves out `logout_hint` picking one of several accounts.
    """
    check(storage(), tenant)
    visited = [storage().clients[key] for key in current_session().clients if key in storage().clients]
    back = request.values.get("post_logout_redirect_uri", "")
    if not any(back in client.redirect_uris for client in storage().clients.values()):
        back = ""
    if back and "state" in request.values:
        back = f"{back}{'&' if '?' in back else '?'}state={request.values['state']}"
    frames = [
        f"{c.logout_url}{'&' if '?' in c.logout_url else '?'}iss={login_origin()}" for c in visited if c.logout_url
    ]
    if back and not frames:
        return forget(make_response(redirect(back, 302)))
    return forget(make_response(render_template("sandbox/logout.html", frames=frames, back=back)))

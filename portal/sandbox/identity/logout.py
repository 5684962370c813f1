"""Ending the browser's session with Microsoft. Refresh tokens of a web application stay alive."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request

from ..context import login_origin, storage
from .cookies import current_session, forget
from .tenants import check

blueprint = Blueprint("logout", __name__)


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

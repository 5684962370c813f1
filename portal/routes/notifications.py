"""Where the provider delivers change notifications. Answers fast, believes little, and never explains itself."""

from __future__ import annotations

from flask import Blueprint, Response, abort, request

from portal.parts import parts
from portal.web.csrf import called_by_machines
from portal.web.guards import public
from portal.workflows import receive
from portal.workflows.not_now import NotNow

bp = Blueprint("notifications", __name__)


@bp.post("/webhooks/<slug>/<mark>")
@public
@called_by_machines
def deliver(slug: str, mark: str) -> Response:
    """The handshake and every delivery; 202 also for what we throw away: an error would only buy hours of retries.

    `mark` tells our subscriptions from one another where the provider lists them; a delivery proves itself otherwise.

    https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
    """
    if slug not in parts().providers:
        abort(404)
    token = request.args.get("validationToken")
    if token is not None:
        return Response(token[:4096], 200, mimetype="text/plain", headers={"X-Content-Type-Options": "nosniff"})
    try:
        receive.notifications(slug, request.get_data(cache=False))
    except NotNow:  # then a repeated delivery is what we want
        return Response(status=503, headers={"Retry-After": "60"})
    return Response(status=202)

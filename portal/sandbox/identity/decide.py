"""The buttons of the consent page and of the page that sends people to their administrator."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from ..context import storage
from . import answer, consent
from .errors import IdentityError
from .pages import find_flow

blueprint = Blueprint("decide", __name__)


@blueprint.post("/<tenant>/consent")
def decide(tenant: str) -> Response:
    """Accept, Cancel, Decline, or a request to the administrator.

    https://learn.microsoft.com/entra/identity-platform/application-consent-experience and
    https://learn.microsoft.com/entra/identity/enterprise-apps/configure-admin-consent-workflow
    """
    flow = find_flow()
    person = storage().people.get(flow.oid) if flow else None
    if flow is None or person is None:
        return answer.error_page(IdentityError(9002313, "This page is too old. Start again."))
    pressed = request.form.get("answer", "")
    if pressed == "accept":
        return consent.accept(flow, person, everybody=request.form.get("everybody") == "yes")
    if pressed == "decline":
        return answer.error(flow.params, IdentityError(65004))
    if pressed == "sent":
        return answer.error(flow.params, IdentityError(90095))
    if pressed == "request" and storage().tenants[person.tid].consent == "workflow":
        consent.request_approval(flow, person, request.form.get("reason", ""))
        page = render_template(
            "sandbox/request_sent.html",
            flow=request.form["flow"],
            segment=flow.tenant,
            person=person,
            tenant=storage().tenants[person.tid],
        )
        return make_response(page)
    return answer.cancelled(flow.params)

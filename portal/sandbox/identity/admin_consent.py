"""The link that an administrator follows to consent for everybody."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..context import now, storage
from ..ids import digest, new_secret
from ..records.identity import Flow
from . import answer, pages
from .authorize import asked_scopes, check_client
from .errors import IdentityError
from .tenants import check

blueprint = Blueprint("admin_consent", __name__)


@blueprint.get("/<tenant>/adminconsent")
@blueprint.get("/<tenant>/v2.0/adminconsent")
def admin_consent(tenant: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-admin-consent

    Without `scope` it asks for everything that the registration declares. Always asks who is there.
    """
    params = {key: value.strip() for key, value in request.args.items()}
    try:
        segment = check(storage(), tenant)
        check_client(params)
        params.setdefault("scope", "https://graph.microsoft.com/.default")
        asked_scopes(params)
    except IdentityError as problem:
        return answer.error_page(problem)
    params["admin_consent"] = "1"
    flow = Flow("organizations" if segment == "common" else segment, params, now())
    key = new_secret()
    with storage().lock:
        storage().flows[digest(key)] = flow
    return pages.sign_in(flow, key)

"""Revocation, which Microsoft does not offer: the desk may order it, to play a provider that does."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from ..context import login_origin, now, storage
from ..ids import digest
from ..records.identity import Client
from .clients import authenticate
from .errors import IdentityError
from .tenants import check

blueprint = Blueprint("revocation", __name__)
REVOKED = 50173  # what a refresh token meets afterwards


@blueprint.post("/<tenant>/oauth2/v2.0/revoke")
def revoke(tenant: str) -> tuple[Response, int] | Response:
    """https://www.rfc-editor.org/rfc/rfc7009#section-2: a token that is not known is revoked as it is.

    With a refresh token end all access tokens that the same person gave the same application.
    """
    if not storage().offers_revocation:
        return Response(status=404)
    try:
        client = authenticate(check(storage(), tenant))
        token = request.form.get("token", "")
        if not token:
            raise IdentityError(900144, "The request body must contain 'token'.")
    except IdentityError as problem:
        correlation = request.headers.get("client-request-id", "")
        return jsonify(problem.document(now(), correlation, login_origin())), problem.status
    _end(client, digest(token))
    return Response()


def _end(client: Client, token: str) -> None:
    with storage().lock:
        refresh, access = storage().refresh_tokens.get(token), storage().access_tokens.get(token)
        if refresh is not None and refresh.client == client.id:
            refresh.ended = refresh.ended or REVOKED
            for held in storage().access_tokens.values():
                if (held.client, held.oid) == (client.id, refresh.oid):
                    held.expires = min(held.expires, now())
        if access is not None and access.client == client.id:
            access.expires = min(access.expires, now())

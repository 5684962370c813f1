"""Directories and applications, over HTTP. The README lists the addresses."""

from __future__ import annotations

from flask import Response, jsonify

from ..context import storage
from . import actions, report
from .actions import Refused
from .api import blueprint, scopes, told


@blueprint.patch("/tenants/<name>")
def change_tenant(name: str) -> Response:
    """`consent`: `open`, `default` (no calendar scopes without the admin) or `workflow`."""
    tenant = actions.tenant(storage(), name)
    actions.set_policy(tenant, str(told().get("consent")))
    return jsonify(id=tenant.id, domain=tenant.domain, consent=tenant.consent)


@blueprint.patch("/applications/<client>")
def change_application(client: str) -> Response:
    """`secret`, `secret_expired`, `redirect_uris`, `logout_url`, `certificates` (PEM texts), `permissions` and
    `app_permissions` (what it declares), `id_tokens` (whether /authorize may issue them)."""
    body = told()
    actions.set_secret(storage(), client, secret=str(body.get("secret") or ""), expired=body.get("secret_expired"))
    held = storage().clients[client]
    with storage().lock:
        held.redirect_uris = [str(uri) for uri in body.get("redirect_uris", held.redirect_uris)]
        held.logout_url = str(body.get("logout_url", held.logout_url))
        held.certificates = [str(pem) for pem in body.get("certificates", held.certificates)]
        held.permissions = tuple(sorted(scopes(body.get("permissions", held.permissions))))
        held.app_permissions = tuple(sorted(scopes(body.get("app_permissions", held.app_permissions))))
        held.id_tokens = bool(body.get("id_tokens", held.id_tokens))
    return jsonify(report.whole(storage())["applications"])


@blueprint.patch("/tenants/<name>/applications/<client>")
def change_principal(name: str, client: str) -> Response:
    """The application's place in one directory: `enabled`, `app_roles` (a list of application permissions)."""
    tenant, body = actions.tenant(storage(), name), told()
    if client not in storage().clients:
        raise Refused("There is no such application.")
    principal = storage().principal(tenant.id, client)
    with storage().lock:
        principal.enabled = bool(body.get("enabled", principal.enabled))
        if "app_roles" in body:
            principal.app_roles = {f"{principal.id}-{role}": role for role in scopes(body["app_roles"])}
            principal.present = True
    return jsonify(id=principal.id, enabled=principal.enabled, app_roles=sorted(principal.app_roles.values()))

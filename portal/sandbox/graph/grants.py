"""Delegated permission grants: consents as an administrator's tools see them.

Work and school only; an ordinary application, holding calendar scopes alone, sees and deletes none of this.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..context import storage
from ..identity import consent
from ..identity.scopes import PERMISSIONS
from ..ids import RESOURCES
from ..records.identity import AccessToken, Grant, Person
from .calendars import body
from .caller import bearer
from .errors import GraphError, bad_request, not_found
from .odata import collection, reply, select
from .shape import context

blueprint = Blueprint("grants", __name__)
READ = frozenset({"Directory.Read.All", "Directory.ReadWrite.All", "DelegatedPermissionGrant.Read.All",
                  "DelegatedPermissionGrant.ReadWrite.All"})  # fmt: skip
WRITE = frozenset({"Directory.ReadWrite.All", "DelegatedPermissionGrant.ReadWrite.All"})


def denied() -> GraphError:
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def administrator(*allowed: str, role: bool = True) -> AccessToken:
    """A token that holds one of the permissions, delegated or of the application itself.

    A delegated caller must also hold a directory role (`role`); a personal account is never one. Raises GraphError.
    """
    token = bearer()
    if not token.oid:
        if not token.roles & set(allowed):
            raise denied()
        return token
    person = storage().people[token.oid]
    if storage().tenants[person.tid].personal or not token.scopes & set(allowed) or (role and not person.admin):
        raise denied()
    return token


def grant_json(held: Grant) -> dict[str, Any]:
    return {
        "clientId": storage().principal(held.tid, held.client).id,
        "consentType": "Principal" if held.principal else "AllPrincipals",
        "id": held.id,
        "principalId": held.principal,
        "resourceId": storage().principal(held.tid, held.resource).id,
        # As Microsoft's own tools write it: a blank in front.
        "scope": " " + " ".join(sorted(held.scopes, key=str.lower)),
    }


def find(token: AccessToken, key: str) -> Grant:
    held = storage().grants.get(key)
    if held is None or held.tid != token.tid:
        raise not_found("Request_ResourceNotFound")
    return held


@blueprint.get("/v1.0/oauth2PermissionGrants")
def list_grants() -> Response:
    """https://learn.microsoft.com/graph/api/oauth2permissiongrant-list. Shows no replication delay."""
    token = administrator(*READ, role=False)
    rows = [grant_json(held) for held in storage().grants.values() if held.tid == token.tid]
    return collection(context("oauth2PermissionGrants"), rows)


@blueprint.get("/v1.0/me/oauth2PermissionGrants")
def my_grants() -> Response:
    """https://learn.microsoft.com/graph/api/user-list-oauth2permissiongrants: the person's own, no tenant-wide ones."""
    token = administrator("Directory.Read.All", "Directory.ReadWrite.All", role=False)
    rows = [grant_json(held) for held in storage().grants.values() if token.oid and held.principal == token.oid]
    return collection(context("oauth2PermissionGrants"), rows)


@blueprint.get("/v1.0/oauth2PermissionGrants/<key>")
def get_grant(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/oauth2permissiongrant-get"""
    held = find(administrator(*READ, role=False), key)
    return reply({"@odata.context": context("oauth2PermissionGrants/$entity"), **select(grant_json(held))})


@blueprint.post("/v1.0/oauth2PermissionGrants")
def create_grant() -> Response:
    """https://learn.microsoft.com/graph/api/oauth2permissiongrant-post"""
    token, told = administrator(*WRITE), body()
    client = next((p.client for p in storage().principals.values() if p.id == told.get("clientId")), None)
    if client is None:
        raise bad_request("clientId is no service principal of this directory.", "Request_BadRequest")
    principals = {storage().principal(token.tid, app).id: app for app in RESOURCES.values()}
    resource = principals.get(str(told.get("resourceId")))
    if resource is None:
        raise bad_request("resourceId is no service principal of this directory.", "Request_BadRequest")
    everybody = told.get("consentType") == "AllPrincipals"
    whose = next((p for p in storage().people.values() if everybody or p.oid == told.get("principalId")), None)
    if told.get("consentType") not in {"Principal", "AllPrincipals"} or whose is None:
        raise bad_request("consentType and principalId do not fit together.", "Request_BadRequest")
    if everybody:
        whose = Person("", token.tid, "", "", storage().clock.now())
    if whose.tid != token.tid:
        raise not_found("Request_ResourceNotFound")
    twin = (client, token.tid, whose.oid or None, resource)
    if any((held.client, held.tid, held.principal, held.resource) == twin for held in _all()):
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
    made = consent.grant(storage(), whose, client, _scopes(told.get("scope")), everybody, resource)
    return reply({"@odata.context": context("oauth2PermissionGrants/$entity"), **grant_json(made)}, 201)


def _all() -> list[Grant]:
    return list(storage().grants.values())


def _scopes(told: object) -> frozenset[str]:
    names = frozenset(str(told or "").split())
    if not names or names - set(PERMISSIONS) or len(str(told)) > 3850:
        raise bad_request("scope must name delegated permissions of the resource.", "Request_BadRequest")
    return names


@blueprint.patch("/v1.0/oauth2PermissionGrants/<key>")
def change_grant(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/oauth2permissiongrant-update: only the scopes named remain."""
    held = find(administrator(*WRITE), key)
    told = body()
    if set(told) != {"scope"}:
        raise bad_request("Only scope can be changed.", "Request_BadRequest")
    with storage().lock:
        held.scopes = _scopes(told["scope"])
    return Response(status=204)


@blueprint.delete("/v1.0/oauth2PermissionGrants/<key>")
def delete_grant(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/oauth2permissiongrant-delete: live access tokens go on to their end."""
    consent.end(storage(), find(administrator(*WRITE), key))
    return Response(status=204)

"""Service principals (how a directory knows an application) and the end of all sign-ins."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from ..context import storage
from ..identity import consent
from ..ids import EXCHANGE_APP, GRAPH_APP
from ..records.identity import AccessToken, Person, ServicePrincipal
from ..sessions import sign_out_everywhere
from .calendars import body
from .caller import bearer, person_with
from .errors import bad_request, not_found
from .grants import administrator, denied
from .odata import collection, reply, select
from .shape import context

blueprint = Blueprint("directory", __name__)
READ = ("Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All")
WRITE = ("Application.ReadWrite.All", "Directory.ReadWrite.All")
MICROSOFTS = {GRAPH_APP: "Microsoft Graph", EXCHANGE_APP: "Office 365 Exchange Online"}
REVOKE = ("User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All")


def principal_json(held: ServicePrincipal) -> dict[str, Any]:
    ours = storage().clients.get(held.client)
    name = ours.name if ours else MICROSOFTS[held.client]
    return {
        "id": held.id,
        "deletedDateTime": None,
        "accountEnabled": held.enabled,
        "appId": held.client,
        "appDisplayName": name,
        "appRoleAssignmentRequired": False,
        "displayName": name,
        "homepage": None,
        "logoutUrl": ours.logout_url or None if ours else None,
        "replyUrls": list(ours.redirect_uris) if ours else [],
        "servicePrincipalNames": [held.client],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADandPersonalMicrosoftAccount" if ours else "AzureADMultipleOrgs",
    }


def _known(token: AccessToken) -> list[ServicePrincipal]:
    graph = storage().principal(token.tid, GRAPH_APP)
    graph.present = True
    return [p for p in storage().principals.values() if p.tid == token.tid and p.present and not p.deleted]


def find(token: AccessToken, key: str) -> ServicePrincipal:
    """By object id. Raises GraphError 404."""
    for held in _known(token):
        if held.id == key:
            return held
    raise not_found("Request_ResourceNotFound")


@blueprint.get("/v1.0/servicePrincipals")
def list_principals() -> Response:
    """https://learn.microsoft.com/graph/api/serviceprincipal-list"""
    rows = [principal_json(held) for held in _known(administrator(*READ, role=False))]
    return collection(context("servicePrincipals"), rows)


@blueprint.get("/v1.0/servicePrincipals(appId='<application>')")
def get_principal_of(application: str) -> Response:
    """https://learn.microsoft.com/graph/api/serviceprincipal-get: its own an application reads without a permission."""
    token = bearer()
    if token.oid or token.client != application:
        token = administrator(*READ, role=False)
    held = next((each for each in _known(token) if each.client == application), None)
    if held is None:
        raise not_found("Request_ResourceNotFound")
    return reply({"@odata.context": context("servicePrincipals/$entity"), **select(principal_json(held))})


@blueprint.get("/v1.0/servicePrincipals/<key>")
def get_principal(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/serviceprincipal-get"""
    held = find(administrator(*READ, role=False), key)
    return reply({"@odata.context": context("servicePrincipals/$entity"), **select(principal_json(held))})


@blueprint.patch("/v1.0/servicePrincipals/<key>")
def change_principal(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/serviceprincipal-update. Changes accountEnabled only."""
    held, told = find(administrator(*WRITE), key), body()
    if not isinstance(told.get("accountEnabled"), bool):
        raise bad_request("This sandbox changes accountEnabled only.", "Request_BadRequest")
    held.enabled = told["accountEnabled"]
    return Response(status=204)


@blueprint.delete("/v1.0/servicePrincipals/<key>")
def delete_principal(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/serviceprincipal-delete: every consent in the directory goes with it."""
    held = find(administrator(*WRITE), key)
    with storage().lock:
        held.deleted, held.present, held.app_roles = True, False, {}
        for grant in [g for g in storage().grants.values() if (g.tid, g.client) == (held.tid, held.client)]:
            consent.end(storage(), grant)
    return Response(status=204)


@blueprint.get("/v1.0/servicePrincipals/<key>/appRoleAssignments")
def role_assignments(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/serviceprincipal-list-approleassignments

    The application permissions an administrator gave. Leaves out assigning them: the desk does that.
    """
    held = find(administrator(*READ, role=False), key)
    resource = storage().principal(held.tid, GRAPH_APP).id
    rows = [
        {"id": f"{held.id}-{role}", "appRoleId": role, "principalId": held.id, "principalType": "ServicePrincipal",
         "resourceId": resource, "resourceDisplayName": "Microsoft Graph"}
        for role in sorted(held.app_roles.values())
    ]  # fmt: skip
    return collection(context("appRoleAssignments"), rows)


def _revoke(person: Person) -> Response:
    sign_out_everywhere(storage(), person)
    return reply({"@odata.context": context("Edm.Boolean"), "value": True})


@blueprint.post("/v1.0/me/revokeSignInSessions")
def revoke_mine() -> Response:
    """https://learn.microsoft.com/graph/api/user-revokesigninsessions: all applications' refresh tokens, at once here.

    Not for personal accounts. A plain person may do it for themselves once the permission is consented to.
    """
    caller = person_with(*REVOKE, code="Authorization_RequestDenied")
    if storage().tenants[caller.person.tid].personal:
        raise denied()
    return _revoke(caller.person)


@blueprint.post("/v1.0/users/<key>/revokeSignInSessions")
def revoke_theirs(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/user-revokesigninsessions, done by an administrator or an application."""
    token = administrator(*REVOKE, role=bool(bearer().oid))
    person = storage().person(key)
    if person is None or person.tid != token.tid:
        raise not_found("Request_ResourceNotFound")
    return _revoke(person)

"""Consents: how they come about, what a signed-in person still has to be asked, and how they end."""

from __future__ import annotations

import base64
import uuid

from flask import Response, make_response, render_template

from ..context import graph_origin, now, storage
from ..ids import CONSUMERS, GRAPH_APP
from ..records.identity import ApprovalRequest, Client, Flow, Grant, Person
from ..storage import Storage
from . import answer
from .errors import IdentityError
from .scopes import OIDC, PERMISSIONS, Asked, needs_admin, parse


def grant(
    storage: Storage,
    person: Person,
    client: str,
    scopes: frozenset[str],
    everybody: bool = False,
    resource: str = GRAPH_APP,
) -> Grant:
    """Record a consent; one that exists already for the resource grows by the new scopes."""
    principal = None if everybody else person.oid
    with storage.lock:
        place = storage.principal(person.tid, client)
        place.present, place.deleted = True, False
        storage.principal(person.tid, resource).present = True
        for held in storage.grants.values():
            if (held.tid, held.client, held.principal, held.resource) == (person.tid, client, principal, resource):
                held.scopes |= scopes
                return held
        key = _key(place.id, storage.principal(person.tid, resource).id, principal)
        made = Grant(key, person.tid, client, principal, scopes, storage.clock.now(), resource)
        storage.grants[key] = made
        return made


def _key(client_id: str, resource_id: str, principal_id: str | None) -> str:
    """A grant's id is made of whose it is, so that one that is given again has the id of the one before.

    https://learn.microsoft.com/graph/api/oauth2permissiongrant-get: the example's id is both of its principals' ids.
    """
    parts = [client_id, resource_id, *([principal_id] if principal_id else [])]
    return base64.urlsafe_b64encode(b"".join(uuid.UUID(each).bytes_le for each in parts)).decode().rstrip("=")


def end(storage: Storage, held: Grant) -> None:
    """Take a consent back. New tokens for its resource stop at once, access tokens live on.

    With a personal account the application's refresh tokens die too; at work they would work again after a new consent.
    """
    with storage.lock:
        if storage.grants.pop(held.id, None) is None:
            return
        if held.tid == CONSUMERS:
            for token in storage.refresh_tokens.values():
                if token.oid == held.principal and token.client == held.client:
                    token.ended = 70000
    if held.resource == GRAPH_APP:
        storage.on_grant_ended(held)


def wanted(flow: Flow) -> Asked:
    """The scopes of a flow; `.default` stands for what the registration declares."""
    asked = parse(flow.params["scope"], graph_origin())
    if asked.everything:
        client = storage().clients[flow.params["client_id"]]
        declared = tuple(name for name in client.permissions if name not in OIDC)
        return Asked(tuple(dict.fromkeys((*asked.names, *declared))), asked.qualified, True)
    return asked


def settle(flow: Flow, key: str, person: Person) -> Response:
    """Somebody is signed in: a code if all is consented, else the page that fits.

    https://learn.microsoft.com/entra/identity-platform/consent-types-developer
    """
    client = storage().clients[flow.params["client_id"]]
    if not storage().principal(person.tid, client.id).enabled:
        return answer.error(flow.params, IdentityError(7000112))
    asked = wanted(flow)
    if flow.params.get("admin_consent"):
        return _ask_for_everybody(flow, key, person, client, asked)
    held = storage().consented(person, client.id)
    if frozenset(asked.names) <= held and flow.params.get("prompt") != "consent":
        return answer.success(flow, person, asked.names)
    reserved = needs_admin(storage().tenants[person.tid], frozenset(asked.names) - held)
    if reserved and not person.admin:
        return _send_to_admin(flow, key, person, client, sorted(reserved))
    return _page("consent", flow, key, person, client, asked.names)


def _page(name: str, flow: Flow, key: str, person: Person, client: Client, scopes: tuple[str, ...]) -> Response:
    page = render_template(
        f"sandbox/{name}.html",
        flow=key,
        segment=flow.tenant,
        person=person,
        tenant=storage().tenants[person.tid],
        client=client,
        permissions=PERMISSIONS,
        scopes=scopes,
        for_everybody=bool(flow.params.get("admin_consent")),
    )
    return make_response(page)


def _send_to_admin(flow: Flow, key: str, person: Person, client: Client, reserved: list[str]) -> Response:
    return _page("admin_approval", flow, key, person, client, tuple(reserved))


def _ask_for_everybody(flow: Flow, key: str, person: Person, client: Client, asked: Asked) -> Response:
    if not person.admin:
        return answer.error_page(IdentityError(90094, f"{person.address} is no administrator."), 403)
    return _page("consent", flow, key, person, client, (*asked.names, *client.app_permissions))


def accept(flow: Flow, person: Person, *, everybody: bool) -> Response:
    """The person said yes: record it, and go back with a code. Only an administrator can say it for everybody."""
    names, client = frozenset(wanted(flow).names), flow.params["client_id"]
    tenant = storage().tenants[person.tid]
    if flow.params.get("admin_consent"):
        if not person.admin:
            return answer.error_page(IdentityError(90094), 403)
        return _accept_for_everybody(flow, person, names)
    if needs_admin(tenant, names - storage().consented(person, client)) and not person.admin:
        return answer.error(flow.params, IdentityError(90094))
    grant(storage(), person, client, names, everybody and person.admin and not tenant.personal)
    return answer.success(flow, person, wanted(flow).names)


def _accept_for_everybody(flow: Flow, person: Person, names: frozenset[str]) -> Response:
    client = storage().clients[flow.params["client_id"]]
    grant(storage(), person, client.id, names, everybody=True)
    place = storage().principal(person.tid, client.id)
    with storage().lock:
        place.app_roles |= {f"{place.id}-{role}": role for role in client.app_permissions}
    return answer.admin_consented(flow, person.tid, sorted(names))


def request_approval(flow: Flow, person: Person, reason: str) -> None:
    """Put the request on the administrator's list, which the desk shows."""
    scopes = frozenset(wanted(flow).names)
    with storage().lock:
        storage().requests.append(ApprovalRequest(person.oid, flow.params["client_id"], scopes, reason[:500], now()))

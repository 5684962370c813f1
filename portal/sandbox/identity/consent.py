"""Consent: what a person is asked, what only their administrator may answer, and the grants that come of it."""

from __future__ import annotations

import base64
import uuid

from flask import Blueprint, Response, make_response, render_template, request

from ..context import graph_origin, storage
from ..storage import Flow, Grant, Person, Storage
from . import answer
from .errors import IdentityError
from .scopes import PERMISSIONS, needs_admin, parse

blueprint = Blueprint("consent", __name__)


def grant(storage: Storage, person: Person, client: str, scopes: frozenset[str], everybody: bool = False) -> Grant:
    """Record a consent; one that exists already grows by the new scopes."""
    principal = None if everybody else person.oid
    with storage.lock:
        storage.principal(person.tid, client)
        for held in storage.grants.values():
            if (held.tid, held.client, held.principal) == (person.tid, client, principal):
                held.scopes |= scopes
                return held
        key = base64.urlsafe_b64encode(uuid.uuid4().bytes + uuid.uuid4().bytes).decode().rstrip("=")
        made = Grant(key, person.tid, client, principal, scopes, storage.clock.now())
        storage.grants[key] = made
        return made


def settle(flow: Flow, key: str, person: Person) -> Response:
    """Somebody is signed in: a code if all is consented, else the page that fits.

    https://learn.microsoft.com/entra/identity-platform/consent-types-developer
    """
    client = storage().clients[flow.params["client_id"]]
    if not storage().principal(person.tid, client.id).enabled:
        return answer.error(flow.params, IdentityError(7000112))
    asked = parse(flow.params["scope"], graph_origin())
    held = storage().consented(person, client.id)
    if frozenset(asked.names) <= held and flow.params.get("prompt") != "consent":
        return answer.code(flow, person, asked.names)
    tenant = storage().tenants[person.tid]
    reserved = needs_admin(tenant, frozenset(asked.names) - held)
    if reserved and not person.admin:
        page = render_template(
            "sandbox/admin_approval.html", flow=key, person=person, tenant=tenant, client=client,
            permissions=PERMISSIONS, scopes=sorted(reserved), segment=flow.tenant,
        )  # fmt: skip
        return make_response(page)
    page = render_template(
        "sandbox/consent.html", flow=key, person=person, tenant=tenant, client=client, permissions=PERMISSIONS,
        scopes=asked.names, segment=flow.tenant,
    )  # fmt: skip
    return make_response(page)


@blueprint.post("/<tenant>/consent")
def decide(tenant: str) -> Response:
    """The person pressed Accept, Cancel or Decline.

    https://learn.microsoft.com/entra/identity-platform/application-consent-experience
    """
    from .pages import find_flow

    flow = find_flow()
    person = storage().people.get(flow.oid) if flow else None
    if flow is None or person is None:
        return answer.error_page(IdentityError(9002313, "This page is too old. Start again."))
    pressed = request.form.get("answer", "")
    if pressed == "decline":
        return answer.error(flow.params, IdentityError(65004))
    if pressed != "accept":
        return answer.cancelled(flow.params)
    asked = parse(flow.params["scope"], graph_origin())
    wanted, client = frozenset(asked.names), flow.params["client_id"]
    tenant_ = storage().tenants[person.tid]
    if needs_admin(tenant_, wanted - storage().consented(person, client)) and not person.admin:
        return answer.error(flow.params, IdentityError(90094))
    everybody = person.admin and not tenant_.personal and request.form.get("everybody") == "yes"
    grant(storage(), person, client, wanted, everybody)
    return answer.code(flow, person, asked.names)

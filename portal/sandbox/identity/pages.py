"""The sign-in page: whom do you want to be?"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request

from ..context import now, storage
from ..ids import CONSUMERS, digest
from ..records.identity import Flow, Person
from . import answer, consent
from .cookies import current_session, remember
from .errors import IdentityError
from .tenants import admits

blueprint = Blueprint("pages", __name__)
BLOCKED = {53000, 53001, 53002, 53003, 530032, 50105}


def signed_in(flow: Flow) -> list[Person]:
    """The accounts this browser is signed in with and that are still allowed to be."""
    people = storage().people
    return [
        people[oid]
        for oid, since in current_session().accounts.items()
        if oid in people and people[oid].enabled and since >= people[oid].valid_from
    ]


def find_flow() -> Flow | None:
    return storage().flows.get(digest(request.values.get("flow", "")))


def sign_in(flow: Flow, key: str, problem: str = "", status: int = 200) -> Response:
    """One button per account that may sign in at this authority, and a field for any other address."""
    people = [person for person in storage().people.values() if _offered(flow, person)]
    hint = flow.params.get("login_hint", "").lower()
    if hint and flow.params.get("prompt") != "select_account":
        people = [p for p in people if hint in {p.address.lower(), p.oid}] or people
    page = render_template(
        "sandbox/sign_in.html",
        flow=key,
        tenant=flow.tenant,
        people=people,
        tenants=storage().tenants,
        here={person.oid for person in signed_in(flow)},
        client=storage().clients[flow.params["client_id"]],
        hint=flow.params.get("login_hint", ""),
        problem=problem,
    )
    return make_response(page, status)


def _offered(flow: Flow, person: Person) -> bool:
    hint = flow.params.get("domain_hint", "").lower()
    if hint in {"consumers", "live.com", "msa"}:
        fits = person.tid == CONSUMERS
    elif hint == "organizations":
        fits = person.tid != CONSUMERS
    else:
        tenant = storage().tenant(hint) if hint else None
        fits = tenant is None or person.tid == tenant.id
    return fits and admits(flow.tenant, person)


@blueprint.post("/<tenant>/login")
def login(tenant: str) -> Response:
    """A tile or an address was chosen. Microsoft's own page is private to it; ours asks for no password."""
    flow = find_flow()
    if flow is None:
        return answer.error_page(IdentityError(9002313, "This page is too old. Start again."))
    if request.form.get("account") is None and "cancel" in request.form:
        return answer.cancelled(flow.params)
    key, address = request.form["flow"], request.form.get("account") or request.form.get("address", "")
    person = storage().person(address)
    if person is None:
        problem = f"There is no account named “{address}” here." if address else "Enter an address."
        return sign_in(flow, key, problem, 422)
    if not admits(flow.tenant, person):
        problem = "this application asks for another kind of account, or for another organization"
        return sign_in(flow, key, f"{person.address} cannot sign in here: {problem}.", 422)
    if not person.enabled:
        return sign_in(flow, key, f"AADSTS50057: {person.address} is disabled by an administrator.", 422)
    if person.problem in BLOCKED:
        return answer.error(flow.params, IdentityError(person.problem))
    with storage().lock:
        person.problem = 0  # whatever step-up was asked for is done by signing in afresh
        flow.oid, flow.auth_time = person.oid, now()
    return remember(consent.settle(flow, key, person), person, flow.params["client_id"])

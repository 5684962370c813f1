"""The authorization endpoint: checks the request strictly, then hands over to the pages."""

from __future__ import annotations

from flask import Blueprint, Response, request

from ..context import graph_origin, now, storage
from ..ids import digest, new_secret
from ..records.identity import Flow, Person
from . import answer, consent, pages
from .cookies import current_session
from .errors import IdentityError
from .scopes import Asked, UnknownResource, UnknownScope, parse
from .tenants import admits, check

blueprint = Blueprint("authorize", __name__)
PROMPTS = {"", "login", "none", "consent", "select_account"}
MODES = {"", "query", "fragment", "form_post"}


@blueprint.route("/<tenant>/oauth2/v2.0/authorize", methods=["GET", "POST"])
def authorize(tenant: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code

    Takes `code`, and `id_token` or `code id_token` where the registration allows it. Leaves out `token` (implicit).
    """
    params = {key: value.strip() for key, value in request.values.items()}
    try:
        segment = check(storage(), tenant)
        check_client(params)
    except IdentityError as problem:
        return answer.error_page(problem)
    try:
        asked = _check(params)
    except IdentityError as problem:
        return answer.error(params, problem)
    flow = Flow(segment, params, now())
    with storage().lock:
        key = new_secret()
        storage().flows[digest(key)] = flow
    person = _signed_in(flow)
    if params.get("prompt") == "none":
        return _silently(flow, asked, person)
    if person is None or params.get("prompt") in {"login", "select_account"}:
        return pages.sign_in(flow, key)
    flow.oid, flow.auth_time = person.oid, current_session().accounts[person.oid]
    return consent.settle(flow, key, person)


def check_client(params: dict[str, str]) -> None:
    """What must hold before anything may be sent to the redirect URI."""
    if not params.get("client_id"):
        raise IdentityError(900144, "Missing: client_id.")
    client = storage().clients.get(params["client_id"].lower())
    if client is None:
        raise IdentityError(700016, f"Application '{params['client_id']}' is not registered.")
    params["client_id"] = client.id
    if params.get("redirect_uri") not in client.redirect_uris:
        raise IdentityError(50011, f"Asked for: {params.get('redirect_uri', 'nothing')}")


def _check(params: dict[str, str]) -> Asked:
    """The rest of the request; these errors go back to the application."""
    mode = params.get("response_mode", "")
    if mode not in MODES:
        params["response_mode"] = "query"
        raise IdentityError(900144, f"response_mode '{mode}' is not supported.")
    kinds = set(params.get("response_type", "").split())
    if not kinds:
        raise IdentityError(900144, "Missing: response_type.")
    if not kinds <= {"code", "id_token"}:
        raise IdentityError(700051)
    if "id_token" in kinds:
        _check_hybrid(params, mode)
    if params.get("prompt", "") not in PROMPTS:
        raise IdentityError(900144, f"prompt '{params['prompt']}' is not supported.", error="invalid_request")
    method, challenge = params.get("code_challenge_method", ""), params.get("code_challenge", "")
    if method not in {"", "plain", "S256"} or (method and not challenge):
        raise IdentityError(9002313, "code_challenge_method must be plain or S256, beside a code_challenge.")
    if challenge and not 43 <= len(challenge) <= 128:
        raise IdentityError(50147, "code_challenge must have 43 to 128 characters.", error="invalid_request")
    return asked_scopes(params)


def _check_hybrid(params: dict[str, str], mode: str) -> None:
    """https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc#send-the-sign-in-request"""
    if not storage().clients[params["client_id"]].id_tokens:
        raise IdentityError(700054)
    if not params.get("nonce"):
        raise IdentityError(900144, "Missing: nonce.")
    if mode == "query":
        params["response_mode"] = "fragment"
        raise IdentityError(70007, "response_mode query is not for id_token.")


def asked_scopes(params: dict[str, str]) -> Asked:
    """The parsed `scope`. Raises IdentityError."""
    if not params.get("scope"):
        raise IdentityError(900144, "Missing: scope.")
    try:
        return parse(params["scope"], graph_origin())
    except UnknownScope as unknown:
        raise IdentityError(650053, f"Scope '{unknown}' does not exist.") from unknown
    except UnknownResource as unknown:
        raise IdentityError(500011, f"Scope '{unknown}' names a resource that is not in the tenant.") from unknown


def _signed_in(flow: Flow) -> Person | None:
    """The one account of this browser that can go on without being asked."""
    fitting = [person for person in pages.signed_in(flow) if admits(flow.tenant, person)]
    hint = flow.params.get("login_hint", "").lower()
    if hint:
        fitting = [person for person in fitting if hint in {person.address.lower(), person.oid}]
    return fitting[0] if len(fitting) == 1 else None


def _silently(flow: Flow, asked: Asked, person: Person | None) -> Response:
    """prompt=none: a code at once, or an error that says what a person would have to do."""
    if person is None:
        several = len(pages.signed_in(flow)) > 1 and not flow.params.get("login_hint")
        return answer.error(flow.params, IdentityError(16000 if several else 50058))
    if not person.enabled:
        return answer.error(flow.params, IdentityError(50057, error="interaction_required"))
    if person.problem:
        return answer.error(flow.params, IdentityError(person.problem, error="interaction_required"))
    if not set(consent.wanted(flow).names) <= storage().consented(person, flow.params["client_id"]):
        return answer.error(flow.params, IdentityError(65001, error="consent_required"))
    flow.auth_time = current_session().accounts[person.oid]
    return answer.success(flow, person, asked.names)

"""The token endpoint."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from ..context import graph_origin, login_origin, now, storage
from ..ids import CONSUMERS, digest
from ..records.identity import Client, Code, Person, RefreshToken
from ..storage import Storage
from . import issue
from .authorize import asked_scopes
from .clients import authenticate
from .errors import IdentityError
from .scopes import OIDC, Asked, parse
from .tenants import admits, check

blueprint = Blueprint("token", __name__)
CODE_LIFE = timedelta(minutes=10)


@blueprint.post("/<tenant>/oauth2/v2.0/token")
def token(tenant: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#redeem-a-code-for-an-access-token

    Leaves out on-behalf-of, password and the grants of Microsoft's own applications.
    """
    try:
        segment = check(storage(), tenant)
        client = authenticate(segment)
        kind = request.form.get("grant_type", "")
        if not kind:
            raise IdentityError(900144, "Missing: grant_type.")
        if kind not in GRANTS:
            raise IdentityError(70003, f"'{kind}'.")
        answer = jsonify(GRANTS[kind](segment, client))
    except IdentityError as problem:
        correlation = request.headers.get("client-request-id", "")
        answer = jsonify(problem.document(now(), correlation, login_origin()))
        answer.status_code = problem.status
    answer.headers["Cache-Control"] = "no-store, no-cache"
    answer.headers["Pragma"] = "no-cache"
    answer.content_type = "application/json; charset=utf-8"
    return answer


def _needed(name: str) -> str:
    value = request.form.get(name, "")
    if not value:
        raise IdentityError(900144, f"The request body must contain '{name}'.")
    return value


def _asked(person: Person, client: Client, fallback: tuple[str, ...]) -> Asked:
    """The scopes of this request, or those of the consent it continues; `.default` is all that was consented to."""
    if not request.form.get("scope"):
        return Asked(fallback, "", False)
    asked = asked_scopes({"scope": request.form["scope"]})
    if asked.everything:
        held = storage().consented(person, client.id) - set(OIDC)
        return Asked((*asked.names, *sorted(held)), asked.qualified, True)
    return asked


def redeem_code(segment: str, client: Client) -> dict[str, Any]:
    """grant_type=authorization_code: once, within ten minutes, for the same redirect URI and code challenge."""
    with storage().lock:
        code = storage().codes.get(digest(_needed("code")))
        if code is None or code.client != client.id:
            raise IdentityError(70000, "The code is not known.")
        if code.redeemed:
            raise IdentityError(54005)
        if now() - code.issued > CODE_LIFE:
            raise IdentityError(70008)
        if _needed("redirect_uri") != code.redirect_uri:
            raise IdentityError(500112)
        person = storage().people[code.oid]
        if not admits(segment, person):
            raise IdentityError(700005)
        _check_verifier(code, request.form.get("code_verifier", ""))
        code.redeemed = True
    check_person(person, client)
    asked = _asked(person, client, code.scopes)
    names = tuple(dict.fromkeys((*asked.names, *code.scopes)))
    check_consent(person, client, names)
    return issue.answer(
        person, client.id, names, asked.qualified or code.qualified,
        nonce=code.nonce, info=request.form.get("client_info") == "1", claims=request.form.get("claims", ""),
    )  # fmt: skip


def _check_verifier(code: Code, verifier: str) -> None:
    """PKCE, enforced whenever a challenge was sent (and a verifier without a challenge is refused too)."""
    if not code.challenge and not verifier:
        return
    if not re.fullmatch(r"[A-Za-z0-9._~-]{43,128}", verifier):
        raise IdentityError(50147 if verifier else 501481)
    expected = verifier
    if code.challenge_method == "S256":
        expected = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    if not hmac.compare_digest(expected, code.challenge):
        raise IdentityError(501481)


def refresh(segment: str, client: Client) -> dict[str, Any]:
    """grant_type=refresh_token: a new one comes in every answer, and the old one stays alive.

    https://learn.microsoft.com/entra/identity-platform/refresh-tokens
    """
    held = storage().refresh_tokens.get(digest(_needed("refresh_token")))
    if held is None or held.client != client.id:
        raise IdentityError(70000, "The refresh token is not known.")
    person = storage().people.get(held.oid)
    if person is None:
        raise IdentityError(50034)
    if not admits(segment, person):
        raise IdentityError(50020 if segment != CONSUMERS else 70000)
    problem = why_dead(storage(), held, person)
    if problem:
        raise IdentityError(problem)
    check_person(person, client)
    asked = _asked(person, client, held.scopes)
    check_consent(person, client, asked.names)
    held.used = now()
    names = tuple(dict.fromkeys((*asked.names, "offline_access")))
    return issue.answer(
        person, client.id, names, asked.qualified,
        info=request.form.get("client_info") == "1", claims=request.form.get("claims", ""),
    )  # fmt: skip


def why_dead(storage: Storage, held: RefreshToken, person: Person) -> int:
    """The AADSTS number that a refresh token meets by its own state; 0 while it lives."""
    if held.ended:
        return held.ended
    if held.issued < person.valid_from:
        return 70000 if person.tid == CONSUMERS else 50173
    return 700082 if storage.clock.now() - held.used > issue.IDLE else 0


def check_person(person: Person, client: Client) -> None:
    """What may have happened to the account or to the application's place in its tenant."""
    if not person.enabled:
        raise IdentityError(50057)
    check_place(person.tid, client)
    if person.problem:
        raise IdentityError(person.problem)


def check_place(tid: str, client: Client) -> None:
    """The application's place in a directory: removed, or switched off."""
    place = storage().principal(tid, client.id)
    if place.deleted:
        raise IdentityError(700016, "An administrator removed the application from the directory.")
    if not place.enabled:
        raise IdentityError(7000112)


def check_consent(person: Person, client: Client, names: tuple[str, ...]) -> None:
    """Whether every scope is still consented to. A personal account hears 70000 instead of 65001."""
    if not frozenset(names) <= storage().consented(person, client.id):
        raise IdentityError(70000 if person.tid == CONSUMERS else 65001)


def of_application(segment: str, client: Client) -> dict[str, Any]:
    """grant_type=client_credentials: a token of the application itself, with the app roles its admins assigned.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
    """
    tenant = storage().tenants.get(segment)
    if tenant is None or tenant.personal:
        raise IdentityError(50020 if tenant else 90002, "Name a tenant: an application has no home of its own.")
    asked = parse(_needed("scope"), graph_origin())
    if not asked.everything or asked.names:
        raise IdentityError(70011, "The scope of an application must be the resource followed by /.default.")
    check_place(segment, client)
    principal = storage().principal(segment, client.id)
    if not principal.present:
        raise IdentityError(7000229)
    return issue.for_application(segment, client, principal)


GRANTS = {
    "authorization_code": redeem_code,
    "refresh_token": refresh,
    "client_credentials": of_application,
}

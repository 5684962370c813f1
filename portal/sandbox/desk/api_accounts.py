"""Accounts, over HTTP. The README lists the addresses."""

from __future__ import annotations

from flask import Response, jsonify

from ..context import storage
from . import actions, mailbox_actions, report
from .actions import person
from .api import blueprint, client_id, courier, scopes, told


@blueprint.get("/accounts")
def accounts() -> Response:
    return jsonify([report.account(storage(), each) for each in storage().people.values()])


@blueprint.post("/accounts")
def add_account() -> tuple[Response, int]:
    body = told()
    made = actions.add_person(
        storage(), str(body.get("address", "")), str(body.get("name", "")), admin=bool(body.get("admin")),
        events=bool(body.get("events", True)),
    )  # fmt: skip
    return jsonify(report.account(storage(), made)), 201


@blueprint.get("/accounts/<address>")
def account(address: str) -> Response:
    return jsonify(report.account(storage(), person(storage(), address)))


@blueprint.patch("/accounts/<address>")
def change_account(address: str) -> Response:
    """`enabled`, `admin`, `mailbox_error` (a Graph code or null), `sign_in_problem` (an AADSTS number or null),
    `challenge` (claims as JSON text, or null), `withheld` (scopes never granted)."""
    who, body = person(storage(), address), told()
    if "enabled" in body:
        actions.enable(storage(), courier(), who, bool(body["enabled"]))
    with storage().lock:
        if "admin" in body:
            who.admin = bool(body["admin"])
        if "mailbox_error" in body:
            who.mailbox = str(body["mailbox_error"] or "")
        if "sign_in_problem" in body:
            who.problem = int(body["sign_in_problem"] or 0)
        if "challenge" in body:
            who.challenge = str(body["challenge"] or "")
        if "withheld" in body:
            who.withheld = scopes(body["withheld"])
    return jsonify(report.account(storage(), who))


@blueprint.post("/accounts/<address>/consent")
def consent(address: str) -> Response:
    """`scopes` (list or text), `tenant_wide`, `client_id`, `resource` (`graph` or `exchange`)."""
    who, body = person(storage(), address), told()
    wide = bool(body.get("tenant_wide"))
    resource = str(body.get("resource") or "")
    actions.consent(storage(), who, client_id(body), scopes(body.get("scopes")), tenant_wide=wide, resource=resource)
    return jsonify(report.account(storage(), who))


@blueprint.post("/accounts/<address>/withdraw")
def withdraw(address: str) -> Response:
    """Consent is taken back; `tenant_wide` true takes the grant that covers everybody in the directory."""
    who = person(storage(), address)
    count = actions.withdraw(storage(), who, tenant_wide=bool(told().get("tenant_wide")))
    return jsonify(withdrawn=count)


@blueprint.post("/accounts/<address>/revoke-sessions")
def revoke_sessions(address: str) -> Response:
    actions.revoke_sessions(storage(), person(storage(), address))
    return jsonify(report.account(storage(), person(storage(), address)))


@blueprint.post("/accounts/<address>/password")
def password(address: str) -> Response:
    """`by`: `person` or `admin`."""
    who = person(storage(), address)
    actions.change_password(storage(), courier(), who, by_admin=told().get("by") == "admin")
    return jsonify(report.account(storage(), who))


@blueprint.post("/accounts/<address>/expire-tokens")
def expire_tokens(address: str) -> Response:
    """`kinds`: a list out of `access` and `refresh`; both if left out."""
    kinds = frozenset(str(kind) for kind in told().get("kinds", ["access", "refresh"]))
    return jsonify(expired=actions.expire_tokens(storage(), person(storage(), address), kinds))


@blueprint.post("/accounts/<address>/spend-deltas")
def spend_deltas(address: str) -> Response:
    """`how`: `410`, `syncStateNotFound` or `resyncRequired`."""
    how = str(told().get("how", "410"))
    return jsonify(spent=mailbox_actions.spend_deltas(storage(), person(storage(), address), how))

"""The desk over HTTP, for tests and scripts. Every answer is JSON; the README lists the addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from ..context import config, storage
from ..graph.courier import Courier
from ..guard import cross_site
from ..identity.keys import KeyRing
from ..identity.scopes import PERMISSIONS
from . import actions, faults, report
from .actions import Refused, person
from .faults import BadFault

blueprint = Blueprint("desk_api", __name__, url_prefix="/desk/api")


@blueprint.before_request
def _only_ours() -> tuple[Response, int] | None:
    """A page of somebody else's must not be able to press our buttons: its posts are cross-site, and not JSON."""
    if request.method == "GET":
        return None
    if cross_site():
        return jsonify(error="This request comes from another site."), 403
    if request.content_length and request.mimetype != "application/json":
        return jsonify(error="Send JSON."), 415
    return None


@blueprint.errorhandler(Refused)
@blueprint.errorhandler(BadFault)
@blueprint.errorhandler(TypeError)
@blueprint.errorhandler(ValueError)
def _refused(problem: Exception) -> tuple[Response, int]:
    return jsonify(error=str(problem)), 400


def courier() -> Courier:
    held: Courier = current_app.extensions["sandbox"]["courier"]
    return held


def told() -> dict[str, Any]:
    body = request.get_json(silent=True) if request.data else {}
    if not isinstance(body, dict):
        raise Refused("The body must be a JSON object.")
    return body


def client_id(body: dict[str, Any]) -> str:
    return str(body.get("client_id") or config().client_id)


@blueprint.get("/state")
def state() -> Response:
    return jsonify(report.whole(storage()))


@blueprint.post("/reset")
def reset() -> Response:
    actions.reset(storage(), config(), courier())
    return jsonify(report.whole(storage()))


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
            who.withheld = _scopes(body["withheld"])
    return jsonify(report.account(storage(), who))


def _scopes(names: Any) -> frozenset[str]:
    wanted = frozenset(names.split() if isinstance(names, str) else [str(name) for name in names or []])
    if wanted - set(PERMISSIONS):
        raise Refused(f"Unknown scopes: {', '.join(sorted(wanted - set(PERMISSIONS)))}.")
    return wanted


@blueprint.post("/accounts/<address>/consent")
def consent(address: str) -> Response:
    """`scopes` (list or text), `tenant_wide`, `client_id`."""
    who, body = person(storage(), address), told()
    wide = bool(body.get("tenant_wide"))
    actions.consent(storage(), who, client_id(body), _scopes(body.get("scopes")), tenant_wide=wide)
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
    return jsonify(spent=actions.spend_deltas(storage(), person(storage(), address), how))


@blueprint.get("/accounts/<address>/events")
def events(address: str) -> Response:
    """Everything stored, series masters once; `subject` narrows it down."""
    box, wanted = storage().mailbox(person(storage(), address).oid), request.args.get("subject")
    rows = [
        {
            "id": event.id,
            "immutable_id": event.immutable_id,
            "calendar": event.calendar,
            "subject": event.fields.get("subject", ""),
            "start": event.start.isoformat(),
            "end": event.end.isoformat(),
            "zone": event.zone,
            "series": event.recurrence is not None,
            "exception_of": event.master or None,
            "properties": event.properties,
            "transaction_id": event.transaction or None,
            "attendees": len(event.fields.get("attendees") or []),
        }
        for event in list(box.events.values())
        if wanted in {None, event.fields.get("subject")}
    ]
    return jsonify(rows)


@blueprint.post("/accounts/<address>/events")
def add_events(address: str) -> tuple[Response, int]:
    """`count` single events, or `events` as Graph would be sent them, in `calendar` (id or name; else the default)."""
    body, who = told(), person(storage(), address)
    where = str(body.get("calendar") or "")
    if isinstance(body.get("events"), list):
        made = actions.add_exactly(storage(), who, body["events"], where)
    else:
        made = actions.add_events(storage(), who, int(body.get("count", 1)), where)
    return jsonify(ids=[event.id for event in made]), 201


@blueprint.post("/accounts/<address>/calendars")
def add_calendar(address: str) -> tuple[Response, int]:
    """`name`, and `can_edit` (true)."""
    body, who = told(), person(storage(), address)
    made = actions.new_calendar(storage(), who, str(body.get("name") or ""), can_edit=bool(body.get("can_edit", True)))
    return jsonify(id=made.id, name=made.name), 201


@blueprint.delete("/accounts/<address>/calendars/<key>")
def drop_calendar(address: str, key: str) -> Response:
    actions.drop_calendar(storage(), person(storage(), address), key)
    return jsonify(deleted=key)


@blueprint.patch("/accounts/<address>/events/<key>")
def alter_event(address: str, key: str) -> Response:
    """`subject`, `shift_minutes`, `calendar` (id)."""
    return jsonify(id=actions.alter_event(storage(), person(storage(), address), key, told()).id)


@blueprint.delete("/accounts/<address>/events/<key>")
def drop_event(address: str, key: str) -> Response:
    actions.drop_event(storage(), person(storage(), address), key)
    return jsonify(deleted=key)


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
        held.permissions = tuple(sorted(_scopes(body.get("permissions", held.permissions))))
        held.app_permissions = tuple(sorted(_scopes(body.get("app_permissions", held.app_permissions))))
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
            principal.app_roles = {f"{principal.id}-{role}": role for role in _scopes(body["app_roles"])}
            principal.present = True
    return jsonify(id=principal.id, enabled=principal.enabled, app_roles=sorted(principal.app_roles.values()))


@blueprint.get("/subscriptions")
def subscriptions() -> Response:
    storage().drop_expired_subscriptions()
    return jsonify([report.subscription(held) for held in storage().subscriptions.values()])


@blueprint.post("/subscriptions/<key>/lifecycle")
def lifecycle(key: str) -> Response:
    """`event`: `missed`, `subscriptionRemoved` (which removes it) or `reauthorizationRequired`."""
    held, event = storage().subscriptions.get(key), str(told().get("event", ""))
    if held is None:
        raise Refused("There is no such subscription.")
    act: dict[str, Callable[[], None]] = {
        "missed": lambda: courier().lifecycle(held, "missed"),
        "subscriptionRemoved": lambda: courier().remove(held),
        "reauthorizationRequired": lambda: courier().lifecycle(held, "reauthorizationRequired"),
    }
    if event not in act:
        raise Refused(f"event must be one of {', '.join(act)}.")
    act[event]()
    return jsonify(sent=event)


@blueprint.get("/deliveries")
def deliveries() -> Response:
    return jsonify([report.delivery(each) for each in list(storage().deliveries)])


@blueprint.get("/calls")
def calls() -> Response:
    """The last calls, oldest first; `path` (a prefix), `method` and `limit` narrow them down."""
    path, method = request.args.get("path", ""), request.args.get("method", "")
    rows = [c for c in list(storage().calls) if c.path.startswith(path) and method in {"", c.method}]
    return jsonify([report.call(each) for each in rows[-int(request.args.get("limit", 200)) :]])


@blueprint.delete("/calls")
def forget_calls() -> Response:
    storage().calls.clear()
    return jsonify([])


@blueprint.get("/faults")
def list_faults() -> Response:
    return jsonify([asdict(fault) for fault in storage().faults])


@blueprint.post("/faults")
def order_fault() -> tuple[Response, int]:
    """One order; see `faults.py`. Answers with its id."""
    return jsonify(asdict(faults.order(told()))), 201


@blueprint.delete("/faults")
def mend_all() -> Response:
    storage().faults.clear()
    return jsonify([])


@blueprint.delete("/faults/<key>")
def mend(key: str) -> Response:
    with storage().lock:
        storage().faults[:] = [fault for fault in storage().faults if fault.id != key]
    return jsonify([asdict(fault) for fault in storage().faults])


@blueprint.get("/clock")
def clock() -> Response:
    moved = storage().clock.offset.total_seconds()
    return jsonify(now=report.iso(storage().clock.now()), offset_seconds=round(moved, 3))


@blueprint.post("/clock")
def move_clock() -> Response:
    """`advance_seconds` (may be negative), or `now` (ISO 8601 with a zone), or `real` true."""
    body, held = told(), storage().clock
    if body.get("real"):
        held.set(timedelta(0))
    elif "now" in body:
        wanted = datetime.fromisoformat(str(body["now"]))
        if wanted.tzinfo is None:
            raise Refused("now needs a zone.")
        held.move(wanted - held.now())
    else:
        held.move(timedelta(seconds=float(body.get("advance_seconds", 0))))
    return clock()


@blueprint.post("/keys/roll")
def roll_keys() -> Response:
    """New signing keys; the old ones stay published for a while, unless `forget` is true."""
    ring: KeyRing = current_app.extensions["sandbox"]["keys"]
    actions.roll_keys(ring, forget=bool(told().get("forget")))
    return jsonify(rolled=True)

"""The desk as a page: everything at a glance, and a plain form for every misfortune."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from flask import Blueprint, Response, current_app, make_response, redirect, render_template, request, url_for

from ..context import config, storage
from ..graph.courier import Courier
from ..guard import cross_site
from ..identity.keys import KeyRing
from ..ids import CONSUMERS
from ..records.identity import Person
from . import actions, faults, mailbox_actions, report
from .actions import Refused, person
from .faults import BEFORE, ENDPOINTS, BadFault
from .spoil import AFTER

blueprint = Blueprint("desk", __name__)


def courier() -> Courier:
    held: Courier = current_app.extensions["sandbox"]["courier"]
    return held


def _text(name: str) -> str:
    return request.form.get(name, "").strip()


@blueprint.get("/")
def front() -> Response:
    return make_response(redirect(url_for("desk.desk")))


@blueprint.get("/desk")
def desk(said: str = "", status: int = 200) -> Response:
    held = storage()
    page = render_template(
        "sandbox/desk.html",
        state=report.whole(held),
        calls=[report.call(call) for call in list(held.calls)[-40:]][::-1],
        deliveries=[report.delivery(each) for each in list(held.deliveries)[-15:]][::-1],
        faults=held.faults,
        endpoints=ENDPOINTS,
        kinds=sorted(BEFORE | AFTER),
        spent=mailbox_actions.SPENT,
        misfortunes=actions.MISFORTUNES,
        personal=CONSUMERS,
        said=said or request.args.get("said", ""),
    )
    return make_response(page, status)


def _withdraw(who: Person) -> str:
    wide = request.form.get("tenant_wide") == "yes"
    count = actions.withdraw(storage(), who, tenant_wide=wide)
    return f"Consents withdrawn for {who.address}: {count}."


def _expire(who: Person) -> str:
    kinds = frozenset(request.form.getlist("kinds"))
    return f"Tokens of {who.address} expired: {actions.expire_tokens(storage(), who, kinds)}."


def _spend(who: Person) -> str:
    return f"Delta links of {who.address} spent: {mailbox_actions.spend_deltas(storage(), who, _text('how'))}."


def _sessions(who: Person) -> str:
    actions.revoke_sessions(storage(), who)
    return f"{who.address} was signed out everywhere."


def _reset_password(who: Person) -> str:
    actions.change_password(storage(), courier(), who, by_admin=True)
    return f"An administrator reset the password of {who.address}."


def _enable(who: Person) -> str:
    actions.enable(storage(), courier(), who, not who.enabled)
    return f"{who.address} is {'enabled' if who.enabled else 'disabled'}."


def _events(who: Person) -> str:
    count = _text("count")
    if not count.isdecimal():
        raise Refused("Say how many events, as a number.")
    return f"Events added for {who.address}: {len(mailbox_actions.add_events(storage(), who, int(count)))}."


def _misfortune(who: Person) -> str:
    return f"{who.address}: {actions.misfortune(storage(), who, _text('what'))}."


TO_A_PERSON: dict[str, Callable[[Person], str]] = {
    "withdraw": _withdraw,
    "expire-tokens": _expire,
    "spend-deltas": _spend,
    "revoke-sessions": _sessions,
    "reset-password": _reset_password,
    "enable": _enable,
    "events": _events,
    "misfortune": _misfortune,
}


def _add_person() -> str:
    return f"{actions.add_person(storage(), _text('address'), _text('name')).address} was added."


def _order() -> str:
    told = {key: value for key, value in request.form.items() if value}
    fault = faults.order(told)
    return f"Ordered: {fault.kind} on {fault.path}."


def _mend() -> str:
    storage().faults.clear()
    return "Everything works again."


def _clock() -> str:
    held = storage().clock
    hours = _text("hours")
    try:
        held.move(timedelta(hours=float(hours))) if hours else held.set(timedelta(0))
    except ValueError as bad:
        raise Refused("Say how many hours, as a number.") from bad
    return f"The sandbox's clock says {report.iso(held.now())}."


def _roll() -> str:
    ring: KeyRing = current_app.extensions["sandbox"]["keys"]
    actions.roll_keys(ring)
    return "New signing keys are in use."


def _secret() -> str:
    expired = _text("expired") == "yes"
    actions.set_secret(storage(), config().client_id, expired=expired)
    return "The client secret has expired." if expired else "The client secret is valid again."


def _policy() -> str:
    tenant = actions.tenant(storage(), _text("tenant"))
    actions.set_policy(tenant, _text("consent"))
    return f"The policy of {tenant.name} is now: {tenant.consent}."


def _place() -> str:
    tenant, enabled = actions.tenant(storage(), _text("tenant")), _text("enabled") == "yes"
    storage().principal(tenant.id, config().client_id.lower()).enabled = enabled
    return f"The application is switched {'on' if enabled else 'off'} at {tenant.name}."


def _reset() -> str:
    actions.reset(storage(), config(), courier())
    return "The sandbox starts afresh."


TO_THE_WORLD: dict[str, Callable[[], str]] = {
    "accounts": _add_person,
    "faults": _order,
    "mend": _mend,
    "clock": _clock,
    "keys": _roll,
    "secret": _secret,
    "policy": _policy,
    "place": _place,
    "reset": _reset,
}


@blueprint.post("/desk/<what>")
def act(what: str) -> Response:
    """Do one thing and show the desk again."""
    if cross_site():
        return desk("That came from another site, so nothing was done.", 403)
    try:
        if what in TO_A_PERSON:
            said = TO_A_PERSON[what](person(storage(), _text("address")))
        elif what in TO_THE_WORLD:
            said = TO_THE_WORLD[what]()
        else:
            return desk("There is no such lever.", 404)
    except (Refused, BadFault) as problem:
        return desk(str(problem), 422)
    return make_response(redirect(url_for("desk.desk", said=said), 303))

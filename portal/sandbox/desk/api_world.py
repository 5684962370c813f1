"""The sandbox as a whole, over HTTP: state, reset, faults, clock, keys, calls. The README lists the addresses."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta

from flask import Response, current_app, jsonify, request

from ..context import config, storage
from ..identity.keys import KeyRing
from . import actions, faults, report
from .actions import Refused
from .api import blueprint, courier, told


@blueprint.get("/state")
def state() -> Response:
    return jsonify(report.whole(storage()))


@blueprint.post("/reset")
def reset() -> Response:
    actions.reset(storage(), config(), courier())
    return jsonify(report.whole(storage()))


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


@blueprint.post("/revocation")
def offer_revocation() -> Response:
    """Play a provider with a revocation endpoint (`offered`), which Microsoft is not."""
    storage().offers_revocation = told().get("offered") is True
    return jsonify(offered=storage().offers_revocation)


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

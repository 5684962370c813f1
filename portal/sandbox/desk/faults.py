"""Misfortunes ordered at the desk: per endpoint and count, from Microsoft's side, so that no client needs patching.

| kind | what the caller meets |
|---|---|
| status | `status` with Graph's or Entra's error body (`code`, or `aadsts` and `suberror`), nothing was done |
| throttle | 429, with `retry_after` seconds (may be fractional) or without |
| delay | nothing but `delay` seconds (every other kind may have a delay too) |
| drop | the connection closes, nothing was done |
| drop_after | the request is carried out, and the connection closes instead of an answer |
| half | the request is carried out, half of the answer arrives (nothing of one without a body), the connection closes |
| not_json | 200 with text that is not JSON, though it is labelled so |
| wrong_json | 200 with JSON of another shape |
| empty | 200 with an empty body |
| content_type | the true answer, labelled `content_type` (text/html) |
| endless | 200 and a body that never ends |
| drip | the true answer, one byte every `delay` seconds (0.2) |
| redirect | `status` (302) to `location`, another host |
"""

from __future__ import annotations

import json
import time
from dataclasses import fields
from fnmatch import fnmatchcase
from typing import Any

from flask import Flask, Response, g, request

from ..context import storage
from ..ids import digest, new_id
from ..records.desk import Fault
from .spoil import AFTER, instead, spoil

# Short names for the endpoints people break most; any other path is a pattern with * in it.
ENDPOINTS = {
    "all": "*",
    "discovery": "*/.well-known/openid-configuration",
    "keys": "*/discovery/v2.0/keys",
    "authorize": "*/oauth2/v2.0/authorize",
    "token": "*/oauth2/v2.0/token",
    "revoke": "*/oauth2/v2.0/revoke",
    "userinfo": "/oidc/userinfo",
    "graph": "/v1.0/*",
    "me": "/v1.0/me",
    "calendars": "/v1.0/me/calendars",
    "events": "/v1.0/me*/events*",
    "delta": "/v1.0/me/*delta*",
    "subscriptions": "/v1.0/subscriptions*",
    "batch": "/v1.0/$batch",
    "grants": "/v1.0/*oauth2PermissionGrants*",
}


BEFORE = {"status", "throttle", "drop", "not_json", "wrong_json", "empty", "endless", "redirect"}


class BadFault(ValueError):
    """Why an order cannot be taken; its text may be shown as it is."""


def order(told: dict[str, Any]) -> Fault:
    """Read an order: `kind`, `path` (a pattern or a name of ENDPOINTS) and any field of Fault. Raises BadFault."""
    known = {each.name for each in fields(Fault)} - {"id", "met"}
    unknown = set(told) - known - {"endpoint"}
    if unknown:
        raise BadFault(f"Unknown: {', '.join(sorted(unknown))}. Known: endpoint, {', '.join(sorted(known))}.")
    kind = str(told.get("kind", ""))
    if kind not in BEFORE | AFTER:
        raise BadFault(f"kind must be one of {', '.join(sorted(BEFORE | AFTER))}.")
    wanted = {key: value for key, value in told.items() if key in known and value is not None}
    wanted["path"] = ENDPOINTS.get(str(told.get("endpoint", "")), str(told.get("path") or "*"))
    if "endpoint" in told and told["endpoint"] not in ENDPOINTS:
        raise BadFault(f"endpoint must be one of {', '.join(ENDPOINTS)}; or give a path with * in it.")
    if "times" in told and told["times"] is None:
        wanted["times"] = None
    try:
        for name, to in (("status", int), ("aadsts", int), ("skip", int), ("delay", float), ("retry_after", str)):
            if name in wanted:
                wanted[name] = to(wanted[name])
        if wanted.get("times") is not None:
            wanted["times"] = int(wanted["times"])
    except (TypeError, ValueError) as bad:
        raise BadFault(f"Not a number: {bad}") from bad
    if isinstance(wanted.get("body"), dict | list):
        wanted["body"] = json.dumps(wanted["body"])
    fault = Fault(id=new_id(), **wanted)
    with storage().lock:
        storage().faults.append(fault)
    return fault


def init_app(app: Flask) -> None:
    app.before_request(_meet)
    app.after_request(spoil)


def _account() -> str:
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer":
        held = storage().access_tokens.get(digest(token))
        return held.oid if held else ""
    refresh = storage().refresh_tokens.get(digest(request.form.get("refresh_token", "")))
    return refresh.oid if refresh else ""


def _fits(fault: Fault) -> bool:
    person = storage().person(fault.account) if fault.account else None
    return (
        fault.times != 0
        and fault.method in {"*", request.method}
        and fnmatchcase(request.path, fault.path)
        and fault.grant_type in {"", request.form.get("grant_type", "")}
        and (not fault.account or (person is not None and person.oid == _account()))
    )


def _meet() -> Response | None:
    """Find the fault that this request was meant to meet, and answer at once where nothing shall be done."""
    if request.path.startswith(("/desk", "/sandbox-static")):
        return None
    with storage().lock:
        fault = next((each for each in storage().faults if _fits(each)), None)
        if fault is None:
            return None
        if fault.skip > 0:
            fault.skip -= 1
            return None
        fault.met += 1
        if fault.times is not None:
            fault.times -= 1
    g.fault, g.fault_order = fault.kind, fault
    if fault.delay and fault.kind != "drip":
        time.sleep(fault.delay)
    return instead(fault) if fault.kind in BEFORE else None

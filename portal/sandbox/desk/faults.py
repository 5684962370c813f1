"""Misfortunes ordered at the desk: per endpoint and count, from Microsoft's side, so that no client needs patching.

| kind | what the caller meets |
|---|---|
| status | `status` with Graph's or Entra's error body (`code`, or `aadsts` and `suberror`), nothing was done |
| throttle | 429, with `retry_after` seconds (may be fractional) or without |
| delay | nothing but `delay` seconds (every other kind may have a delay too) |
| drop | the connection closes, nothing was done |
| drop_after | the request is carried out, and the connection closes instead of an answer |
| half | the request is carried out, half of the answer arrives, the connection closes |
| not_json | 200 with text that is not JSON, though it is labelled so |
| wrong_json | 200 with JSON of another shape |
| empty | 200 with an empty body |
| content_type | the true answer, labelled `content_type` (text/html) |
| endless | 200 and a body that never ends |
| drip | the true answer, one byte every `delay` seconds (0.2) |
| redirect | `status` (302) to `location`, another host |
"""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from dataclasses import fields
from fnmatch import fnmatchcase
from typing import Any

from flask import Flask, Response, g, request

from ..context import login_origin, now, storage
from ..graph import errors as graph_errors
from ..identity.errors import IdentityError
from ..storage import Fault, digest, new_id

# Short names for the endpoints people break most; any other path is a pattern with * in it.
ENDPOINTS = {
    "all": "*",
    "discovery": "*/.well-known/openid-configuration",
    "keys": "*/discovery/v2.0/keys",
    "authorize": "*/oauth2/v2.0/authorize",
    "token": "*/oauth2/v2.0/token",
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
AFTER = {"delay", "drop_after", "half", "content_type", "drip"}


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
    app.after_request(_spoil)


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
    return _instead(fault) if fault.kind in BEFORE else None


def _instead(fault: Fault) -> Response:
    headers = dict(fault.headers)
    if fault.kind == "throttle":
        if fault.retry_after:
            headers["Retry-After"] = fault.retry_after
        return _error(fault, 429, fault.code or "TooManyRequests", headers)
    if fault.kind == "status":
        if fault.retry_after:
            headers["Retry-After"] = fault.retry_after
        return _error(fault, fault.status, fault.code, headers)
    if fault.kind == "redirect":
        status = fault.status if 300 <= fault.status < 400 else 302
        return Response("", status, {**headers, "Location": fault.location})
    if fault.kind == "drop":
        return Response(_hang_up([]), direct_passthrough=True)
    if fault.kind == "endless":
        return Response(_endless(), 200, headers, content_type=fault.content_type or "application/json")
    usual = {"not_json": "<html>Our services aren't available right now</html>", "wrong_json": '["unexpected", 7]'}
    body = usual.get(fault.kind, "") if fault.body is None else fault.body
    return Response(body, 200, headers, content_type=fault.content_type or "application/json")


def _error(fault: Fault, status: int, code: str, headers: dict[str, str]) -> Response:
    if fault.body is not None:
        return Response(fault.body, status, headers, content_type=fault.content_type or "application/json")
    told: dict[str, Any]
    if fault.aadsts or "/oauth2/" in request.path:
        problem = IdentityError(fault.aadsts or 90033, fault.message, fault.suberror, fault.code)
        told = problem.document(now(), request.headers.get("client-request-id", ""), login_origin())
    else:
        told = graph_errors.document(code or USUAL.get(status, "UnknownError"), fault.message)
    return Response(json.dumps(told), status, headers, content_type=fault.content_type or "application/json")


USUAL = {
    400: "BadRequest",
    401: "InvalidAuthenticationToken",
    403: "ErrorAccessDenied",
    404: "ErrorItemNotFound",
    409: "Conflict",
    410: "SyncStateNotFound",
    412: "ErrorIrresolvableConflict",
    429: "TooManyRequests",
    500: "generalException",
    502: "BadGateway",
    503: "serviceNotAvailable",
    504: "GatewayTimeout",
}


def _spoil(answer: Response) -> Response:
    """Let the request be carried out, and spoil its answer."""
    fault: Fault | None = g.get("fault_order")
    if fault is None or fault.kind not in AFTER or answer.is_streamed:
        return answer
    body = answer.get_data()
    if fault.kind == "content_type":
        answer.content_type = fault.content_type or "text/html"
    elif fault.kind == "drip":
        answer.response, answer.direct_passthrough = _drip(body, fault.delay or 0.2), True
    elif fault.kind == "half":
        answer.response, answer.direct_passthrough = _hang_up([body[: max(1, len(body) // 2)]]), True
        answer.headers["Content-Length"] = str(max(2, len(body)))
    elif fault.kind == "drop_after":
        answer.response, answer.direct_passthrough = _hang_up([]), True
    return answer


def _hang_up(first: list[bytes]) -> Iterator[bytes]:
    """Send what there is, then close the connection under the caller's feet."""
    wire = request.environ.get("werkzeug.socket") or request.environ.get("gunicorn.socket")

    def parts() -> Iterator[bytes]:
        yield from first
        if isinstance(wire, socket.socket):
            with contextlib.suppress(OSError):  # the caller may have hung up first
                wire.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("ordered at the desk")

    return parts()


def _endless() -> Iterator[bytes]:
    yield b'{"value": ['
    while True:
        yield b'{"id": "again and again"}, ' * 400


def _drip(body: bytes, pause: float) -> Iterator[bytes]:
    for at in range(len(body)):
        time.sleep(pause)
        yield body[at : at + 1]

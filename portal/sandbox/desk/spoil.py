"""Answers that go wrong: what a fault does to the request that meets it."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

from flask import Response, g, request

from ..context import login_origin, now
from ..graph import errors as graph_errors
from ..identity.errors import IdentityError
from ..records.desk import Fault

AFTER = {"delay", "drop_after", "half", "content_type", "drip"}


NO_BODY = {204, 304}


def instead(fault: Fault) -> Response:
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


def spoil(answer: Response) -> Response:
    """Let the request be carried out, and spoil its answer."""
    fault: Fault | None = g.get("fault_order")
    if fault is None or fault.kind not in AFTER or answer.is_streamed:
        return answer
    body = answer.get_data()
    if fault.kind in {"half", "drop_after"} and answer.status_code in NO_BODY:
        # Such an answer is all head, and Werkzeug sends that before it looks for a body: let it look first.
        g.true_status, answer.status_code = answer.status_code, 200
        answer.response, answer.direct_passthrough = _hang_up([]), True
    elif fault.kind == "content_type":
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

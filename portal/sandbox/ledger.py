"""The record of calls: who asked for what, how it ended, and no secret in it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import Flask, Response, g, request

from .context import now, storage
from .ids import digest, new_id
from .records.desk import Call

SECRET = frozenset(
    {
        "client_secret",
        "client_assertion",
        "code",
        "code_verifier",
        "refresh_token",
        "access_token",
        "id_token",
        "id_token_hint",
        "password",
        "assertion",
        "device_code",
        "clientState",
        "$skiptoken",
        "$deltatoken",
        "validationToken",
        "flow",
        "nonce",
        "state",
    }
)


def init_app(app: Flask) -> None:
    app.before_request(_number)
    app.after_request(_write_down)


def _number() -> None:
    g.request_id = new_id()


def _write_down(answer: Response) -> Response:
    request_id = str(g.get("request_id", ""))
    answer.headers["x-ms-request-id" if "/oauth2/" in request.path else "request-id"] = request_id
    client_id = request.headers.get("client-request-id", "")
    if client_id:
        answer.headers["client-request-id"] = client_id
    if request.path.startswith("/v1.0"):
        answer.headers["x-ms-ags-diagnostic"] = json.dumps(
            {"ServerInfo": {"DataCenter": "Sandbox", "Slice": "E", "Ring": "1", "ScaleUnit": "000"}}
        )
    if request.path.startswith(("/desk", "/sandbox-static")):
        return answer
    person = storage().people.get(str(g.get("account", "")))
    storage().calls.append(
        Call(
            at=now(),
            method=request.method,
            path=request.environ.get("sandbox.path", request.path),
            query=redact(request.query_string.decode(errors="replace")),
            body=_body(),
            status=g.get("true_status", answer.status_code),
            account=person.address if person else "",
            request_id=request_id,
            client_request_id=client_id,
            agent=request.headers.get("User-Agent", ""),
            fault=str(g.get("fault", "")),
        )
    )
    return answer


def fingerprint(secret: str) -> str:
    """Enough to tell two secrets apart, too little to be one."""
    return f"[hidden {digest(secret)[:8]}]" if secret else ""


def redact(pairs: str) -> str:
    """A query or form with every secret value replaced by its fingerprint."""
    return urlencode([(k, fingerprint(v) if k in SECRET else v) for k, v in parse_qsl(pairs)], safe="$[]: ,/'")


def _body() -> str:
    if request.mimetype == "application/x-www-form-urlencoded":
        return redact(urlencode(list(request.form.items(multi=True))))
    told = request.get_json(silent=True)
    return json.dumps(_blank(told))[:4000] if told is not None else ""


def _blank(told: Any) -> Any:
    if isinstance(told, dict):
        return {key: fingerprint(str(value)) if key in SECRET else _blank(value) for key, value in told.items()}
    return [_blank(each) for each in told] if isinstance(told, list) else told

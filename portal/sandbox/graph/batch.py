"""Several requests in one.

Each inner request goes through the whole app again, so faults, limits and the record of calls see it as any other.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.test import EnvironBuilder, run_wsgi_app

from .calendars import body
from .caller import bearer
from .errors import bad_request
from .odata import reply
from .throttle import AT_A_TIME

blueprint = Blueprint("batch", __name__)
LARGEST = 20


@blueprint.post("/v1.0/$batch")
def batch() -> Response:
    """https://learn.microsoft.com/graph/json-batching: at most 20, ids unique, `dependsOn` honoured.

    Independent requests run four at a time, as Graph does with one mailbox. A dependent of a failed one is 424.
    """
    bearer()
    requests = _checked(body().get("requests"))
    outer, app = dict(request.headers), current_app._get_current_object()  # type: ignore[attr-defined]
    base = request.host_url
    done: dict[str, dict[str, Any]] = {}
    left = list(requests)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        while left:
            ready = [each for each in left if set(each.get("dependsOn") or []) <= set(done)]
            if not ready:
                raise bad_request("dependsOn goes round in a circle.", "BadRequest")
            left = [each for each in left if each not in ready]
            for told in pool.map(lambda each: _one(app, base, outer, each, done), ready):
                done[told["id"]] = told
    return reply({"responses": list(done.values())})


def _checked(told: object) -> list[dict[str, Any]]:
    if not isinstance(told, list) or not told:
        raise bad_request("A batch needs a list of requests.", "BadRequest")
    if len(told) > LARGEST:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {LARGEST}.", "BadRequest")
    ids = [each.get("id") if isinstance(each, dict) else None for each in told]
    if len(set(ids)) < len(ids) or not all(isinstance(key, str) and key for key in ids):
        raise bad_request("Every request in a batch needs an id of its own.", "BadRequest")
    for each in told:
        if not isinstance(each.get("method"), str) or not str(each.get("url", "")).strip("/"):
            raise bad_request("Every request in a batch needs a method and a url.", "BadRequest")
        if set(each.get("dependsOn") or []) - set(ids):
            raise bad_request("dependsOn names a request that is not in the batch.", "BadRequest")
        if each.get("body") is not None and "content-type" not in {name.lower() for name in each.get("headers") or {}}:
            raise bad_request("A request with a body needs a Content-Type header.", "BadRequest")
    return told


def _one(app: Any, base: str, outer: dict[str, str], told: dict[str, Any], done: dict[str, Any]) -> dict[str, Any]:
    if any(done[key]["status"] >= 400 for key in told.get("dependsOn") or []):
        error = {"code": "FailedDependency", "message": "A request this one depends on has failed."}
        return {"id": told["id"], "status": 424, "headers": {}, "body": {"error": error}}
    headers = {"Authorization": outer.get("Authorization", ""), "User-Agent": outer.get("User-Agent", "")}
    headers |= told.get("headers") or {}
    data = b"" if told.get("body") is None else json.dumps(told["body"]).encode()
    path = "/v1.0/" + str(told["url"]).removeprefix("/v1.0").lstrip("/")
    environ = EnvironBuilder(
        path=path, base_url=base, method=told["method"].upper(), headers=list(headers.items()),
        input_stream=BytesIO(data), content_length=len(data),
    ).get_environ()  # fmt: skip
    try:
        parts, status, answer = run_wsgi_app(app, environ, buffered=True)
        text = b"".join(parts).decode()
    except ConnectionError:  # a fault ordered at the desk dropped it; Graph's front end would say as much
        error = {"code": "GatewayTimeout", "message": "The service behind did not answer."}
        return {"id": told["id"], "status": 504, "headers": {}, "body": {"error": error}}
    return {
        "id": told["id"],
        "status": int(status.split()[0]),
        "headers": {name: value for name, value in answer.items() if name in SHOWN},
        **({"body": _read(text)} if text else {}),
    }


SHOWN = frozenset({"Content-Type", "Retry-After", "Location", "ETag", "Preference-Applied", "WWW-Authenticate"})


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

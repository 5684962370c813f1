"""Graph's errors and the shape they are told in.

Follows https://learn.microsoft.com/graph/errors. On the wire it is spelt `innerError`, and its date has no zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Response, g, jsonify, request

from ..context import now


@dataclass
class GraphError(Exception):
    """A refusal on its way out; `headers` go with it (Retry-After, Location, WWW-Authenticate)."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


def document(code: str, message: str) -> dict[str, object]:
    request_id = str(g.get("request_id", ""))
    return {
        "error": {
            "code": code,
            "message": message,
            "innerError": {
                "date": f"{now():%Y-%m-%dT%H:%M:%S}",
                "request-id": request_id,
                "client-request-id": request.headers.get("client-request-id", request_id),
            },
        }
    }


def answer(problem: GraphError) -> Response:
    told = jsonify(document(problem.code, problem.message))
    told.status_code = problem.status
    told.content_type = "application/json"
    told.headers.update(problem.headers)
    return told


def not_found(code: str = "ErrorItemNotFound") -> GraphError:
    return GraphError(404, code, "The specified object was not found in the store.")


def bad_request(message: str, code: str = "ErrorInvalidParameter") -> GraphError:
    return GraphError(400, code, message)

"""Counters for operators, in Prometheus' text format: to a bearer of the metrics token only (in a demo to anybody)."""

from __future__ import annotations

import hmac

from flask import Blueprint, Response, abort, request

from portal.parts import parts
from portal.web.guards import public
from portal.workflows import counters

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
@public
def show() -> Response:
    """Every counter. https://prometheus.io/docs/instrumenting/exposition_formats/"""
    if not _may_read():
        abort(404)
    lines = []
    for name, value in counters.values().items():
        lines += [f"# HELP coordinoter_{name}_total {counters.NAMES[name]}", f"# TYPE coordinoter_{name}_total counter"]
        lines.append(f"coordinoter_{name}_total {value}")
    return Response("\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


def _may_read() -> bool:
    token = parts().settings.metrics_token
    if token:
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    return parts().settings.demo

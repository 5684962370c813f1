"""The desk over HTTP, for tests and scripts: who may ask, and how a mistake is told.

The addresses stand in `api_accounts`, `api_mailboxes`, `api_registrations` and `api_world`; the README lists them.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from ..context import config
from ..graph.courier import Courier
from ..guard import cross_site
from ..identity.scopes import PERMISSIONS
from .actions import Refused
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
    """The JSON object that was sent; empty where nothing was. Raises Refused."""
    body = request.get_json(silent=True) if request.data else {}
    if not isinstance(body, dict):
        raise Refused("The body must be a JSON object.")
    return body


def client_id(body: dict[str, Any]) -> str:
    """The application meant: the one of the settings, unless the body names another."""
    return str(body.get("client_id") or config().client_id)


def scopes(names: Any) -> frozenset[str]:
    """Permissions out of a list or a text. Raises Refused."""
    wanted = frozenset(names.split() if isinstance(names, str) else [str(name) for name in names or []])
    if wanted - set(PERMISSIONS):
        raise Refused(f"Unknown scopes: {', '.join(sorted(wanted - set(PERMISSIONS)))}.")
    return wanted

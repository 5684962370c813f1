"""Sync now."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from portal.routes.integrations import render_card
from portal.web.guards import own_connection
from portal.web.htmx import wants_fragment
from portal.workflows import sync as workflow

bp = Blueprint("sync", __name__)


@bp.post("/connections/<connection_id>/sync")
def now(connection_id: str) -> ResponseReturnValue:
    """Ask for a sync; the card then follows it."""
    connection = own_connection(connection_id)
    slug = connection.integration
    workflow.want(connection.id)
    if wants_fragment():
        return render_card(slug)
    return redirect(url_for("integrations.deep_link", slug=slug), 303)

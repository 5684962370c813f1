"""Choose the calendar that the member's own meetings are written into."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal.routes.integrations import render_card
from portal.web.guards import own_connection
from portal.web.htmx import wants_fragment
from portal.workflows import push as workflow
from portal.workflows import sync
from portal.workflows.epoch import Fenced

bp = Blueprint("push", __name__)


@bp.post("/connections/<connection_id>/write-to")
def choose(connection_id: str) -> ResponseReturnValue:
    """Set it (an empty choice writes nothing any more), and sync."""
    connection = own_connection(connection_id)
    slug, epoch = connection.integration, connection.epoch
    try:
        workflow.choose(connection_id, epoch, request.form.get("calendar") or None)
    except workflow.NotThisCalendar:
        abort(400, "This calendar is not one of this account's that meetings can be written into.")
    except Fenced:
        abort(409, "This account is just being changed in another place. Please look at the card again.")
    sync.want(connection_id)
    return render_card(slug) if wants_fragment() else redirect(url_for("integrations.deep_link", slug=slug), 303)

"""After a disconnection: "I have done this" and "Check again" on the confirmation page."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from portal.providers.base import ProviderError
from portal.web import notices
from portal.web.browser import browser_name
from portal.web.guards import own_disconnection
from portal.web.htmx import go
from portal.workflows import after as workflow

bp = Blueprint("after", __name__)


@bp.post("/disconnections/<disconnection_id>/done")
def said_done(disconnection_id: str) -> ResponseReturnValue:
    """The person removed our permission at the provider, they say."""
    disconnection = own_disconnection(disconnection_id)
    workflow.say_done(disconnection.id)
    return redirect(url_for("disconnect.show", disconnection_id=disconnection_id), 303)


@bp.post("/disconnections/<disconnection_id>/check")
def check(disconnection_id: str) -> ResponseReturnValue:
    """Look, in this browser and without any token of ours, whether the permission still stands."""
    disconnection = own_disconnection(disconnection_id)
    try:
        return go(workflow.begin_check(disconnection.id, browser_name()))
    except ProviderError:
        notices.leave("unreachable")
        return go(url_for("disconnect.show", disconnection_id=disconnection_id))

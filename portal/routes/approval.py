"""An administrator has to approve: remember it on the card, with a text for them; and wait no longer."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, url_for
from flask.typing import ResponseReturnValue

from portal.parts import parts
from portal.web.guards import me
from portal.workflows import approval as workflow

bp = Blueprint("approval", __name__)


@bp.post("/integrations/<slug>/approval")
def wait(slug: str) -> ResponseReturnValue:
    """Microsoft said so, and often sends nobody back to tell us: the member does."""
    if slug not in parts().providers:
        abort(404)
    workflow.wait(me().id, slug)
    return redirect(url_for("integrations.deep_link", slug=slug), 303)


@bp.post("/integrations/<slug>/approval/dismiss")
def dismiss(slug: str) -> ResponseReturnValue:
    """The member waits no longer."""
    if slug not in parts().providers:
        abort(404)
    workflow.dismiss(me().id, slug)
    return redirect(url_for("integrations.deep_link", slug=slug), 303)

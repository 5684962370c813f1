"""Your business: what its administrator decides for everybody, for administrators only."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from portal.db import db
from portal.models import Activity, Member
from portal.parts import parts
from portal.web.guards import admins_only, me
from portal.workflows import business as workflow

bp = Blueprint("business", __name__)

SHOWN = 10
SLUG = "outlook-calendar"


@bp.get("/business")
@admins_only
def page() -> str:
    """What is decided, what that means, how to set it up and how to undo it."""
    return render_template(
        "business/page.html",
        business=me().business,
        handover=parts().providers[SLUG].handover(parts().settings.redirect_uri),
        client_id=parts().settings.microsoft_client_id,
        decisions=_decisions(),
    )


@bp.get("/business/permissions")
@admins_only
def ask() -> str:
    """The question before the decision. Changes nothing."""
    return render_template("business/confirm.html", business=me().business)


@bp.post("/business/permissions")
@admins_only
def decide() -> ResponseReturnValue:
    """Remove people's permissions at Microsoft when they disconnect, or leave that to them."""
    answer = request.form.get("remove")
    if answer not in {"yes", "no"}:
        abort(400)
    workflow.remove_grants(me().business_id, me().id, wanted=answer == "yes")
    return redirect(url_for("business.page"), 303)


def _decisions() -> list[tuple[Activity, str]]:
    """What was decided and by whom, the last first."""
    rows = db.session.execute(
        select(Activity, Member.name)
        .join(Member, Activity.member_id == Member.id)
        .where(Member.business_id == me().business_id, Activity.event.startswith("business:"))
        .order_by(Activity.at.desc())
        .limit(SHOWN)
    )
    return [(activity, name) for activity, name in rows]

"""Sign in and sign out."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, current_app, redirect, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from portal.config import Settings
from portal.db import db
from portal.models import Member
from portal.web.guards import SIGN_IN, public
from portal.web.limits import begin_sign_in, end_sign_in, failed_sign_ins_by_address
from portal.web.redirects import own_path
from portal.workflows import sign_in as workflow

bp = Blueprint("sign_in", __name__)

WRONG = "That email and password do not belong together. Please check both."


@bp.get("/sign-in")
@public
def show() -> ResponseReturnValue:
    """The form. Whoever is signed in already goes straight on."""
    after = own_path(request.args.get("next"))
    if current_user.is_authenticated:
        return redirect(after, 303)
    return render_template("sign_in/page.html", email="", next=after, fault="", people=demo_people())


@bp.post("/sign-in")
@public
@failed_sign_ins_by_address
def submit() -> ResponseReturnValue:
    """Check the password; a fresh session begins, so that nothing planted before the sign-in lives on."""
    email, after = request.form.get("email", "")[:254], own_path(request.form.get("next"))
    begin_sign_in()
    member = workflow.check_password(email, request.form.get("password", "")[:200])
    if member is None:
        page = render_template("sign_in/page.html", email=email, next=after, fault=WRONG, people=demo_people())
        return page, 422
    end_sign_in()
    workflow.end(session.get(SIGN_IN, ""))  # a second tab that still showed the form: one sign-in per browser
    session.clear()
    sign_in_id = workflow.begin(member.id)
    login_user(member)
    session[SIGN_IN] = sign_in_id
    return redirect(after, 303)


@bp.post("/sign-out")
@public
def leave() -> ResponseReturnValue:
    """End this sign-in, for copies of its cookie too; other browsers stay signed in. Repeating it does no harm."""
    workflow.end(session.get(SIGN_IN, ""))
    logout_user()
    session.clear()
    return redirect("/sign-in", 303)


def demo_people() -> Sequence[Member]:
    """In demo mode the sign-in page names everybody: their password is published anyway."""
    settings: Settings = current_app.extensions["settings"]
    if not settings.demo:
        return ()
    members = select(Member).options(joinedload(Member.business)).order_by(Member.business_id, Member.email)
    return db.session.scalars(members).all()

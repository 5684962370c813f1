"""Who may see what. Every view needs a signed-in member unless it is marked `@public`; a stranger's things are 404."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from flask import Flask, abort, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, current_user
from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import Connection, Disconnection, Member, SignIn
from portal.models.sign_in import LASTS
from portal.web.htmx import wants_fragment
from portal.web.redirects import way_back

P = ParamSpec("P")
R = TypeVar("R")
View = TypeVar("View", bound=Callable[..., Any])

login_manager = LoginManager()

SIGN_IN = "sign_in"
"""Where the session cookie names the sign-in that it stands on (`models/sign_in.py`)."""


def setup(app: Flask) -> None:
    """Flask-Login finds out who it is; we decide what that allows."""
    login_manager.session_protection = "basic"
    login_manager.user_loader(load_member)
    login_manager.init_app(app)
    app.before_request(sign_in_required)


def load_member(member_id: str) -> Member | None:
    """The member a session names, if there (still) is one, and its sign-in was not ended and is not too old."""
    recent = SignIn.started_at > clock.now() - LASTS
    signed_in = select(Member).join(SignIn, SignIn.member_id == Member.id).where(recent)
    return db.session.scalar(signed_in.where(SignIn.id == session.get(SIGN_IN, ""), Member.id == member_id))


def public(view: View) -> View:
    """Mark a view that needs no signed-in member."""
    view.__dict__["is_public"] = True
    return view


def sign_in_required() -> ResponseReturnValue | None:
    """Send everybody who is not signed in to the sign-in page, and back afterwards."""
    view = current_app.view_functions.get(request.endpoint or "")
    if view is None or request.endpoint == "static" or getattr(view, "is_public", False):
        return None
    if current_user.is_authenticated:
        return None
    return to_sign_in()


def to_sign_in() -> ResponseReturnValue:
    """The way to the sign-in page. A part of a page cannot show it, so htmx is told to go there as a whole."""
    target = url_for("sign_in.show", next=way_back())
    if wants_fragment():
        return "", 401, {"HX-Redirect": target}
    return redirect(target, 303)


def me() -> Member:
    """The signed-in member."""
    return cast(Member, current_user._get_current_object())


def own_connection(connection_id: str) -> Connection:
    """The signed-in member's own connection; 404 for everybody else's."""
    connection = db.session.get(Connection, connection_id)
    if connection is None or connection.member_id != me().id:
        abort(404)
    return connection


def own_disconnection(disconnection_id: str) -> Disconnection:
    """The signed-in member's own disconnection; 404 for everybody else's."""
    disconnection = db.session.get(Disconnection, disconnection_id)
    if disconnection is None or disconnection.member_id != me().id:
        abort(404)
    return disconnection


def admins_only(view: Callable[P, R]) -> Callable[P, R]:
    """Let only those in who decide for their business."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not me().is_admin():
            abort(403)
        return view(*args, **kwargs)

    return guarded


def support_only(view: Callable[P, R]) -> Callable[P, R]:
    """Let only our own support people in."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        if not me().is_support():
            abort(403)
        return view(*args, **kwargs)

    return guarded

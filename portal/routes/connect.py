"""Connect and Reconnect: leave for the provider, and come back."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from portal.models import Connection
from portal.parts import parts
from portal.providers.base import OurFault, ProviderError, SignInReason, SignInRefused
from portal.web import notices
from portal.web.browser import browser_name
from portal.web.guards import own_connection, public
from portal.web.htmx import go
from portal.web.reading import writes_on_get
from portal.workflows import after, approval
from portal.workflows import connect as workflow
from portal.workflows.not_now import NotNow

bp = Blueprint("connect", __name__)

APPROVALS = {
    "admin_approved": "Microsoft says that you have approved Coordinoter. Your people can connect now; you can close "
    "this page.",
    "approval_refused": "Microsoft says that Coordinoter was not approved. Nothing was changed; the link that you were "
    "sent stays good.",
}


@bp.post("/integrations/<slug>/connect")
def start(slug: str) -> ResponseReturnValue:
    """Straight to the provider's sign-in; no page between."""
    if slug not in parts().providers:
        abort(404)
    return _leave(slug)


@bp.post("/connections/<connection_id>/reconnect")
def reconnect(connection_id: str) -> ResponseReturnValue:
    """The same, to mend a connection: its settings and copies stay."""
    connection = own_connection(connection_id)
    return _leave(connection.integration, replaces=connection)


@bp.get("/integrations/<slug>/callback")
@public
@writes_on_get
def callback(slug: str) -> BaseResponse:
    """The redirect URI: judge the answer, then show the card with what came of it.

    Public because a session that ended meanwhile must not carry the code on in a `next` address.
    """
    if slug not in parts().providers:
        abort(404)
    if _is_approval(request.args):
        return _back_from_approval(slug, "admin_approved")
    if _is_refused_approval(request.args):
        return _back_from_approval(slug, "approval_refused")
    if not current_user.is_authenticated:
        notices.leave(SignInReason.EXPIRED.value)
    elif checked := after.finish_check(current_user.id, browser_name(), request.args):
        return redirect(url_for("disconnect.show", disconnection_id=checked), 303)
    else:
        notices.leave(_finish(slug))
    return redirect(url_for("integrations.deep_link", slug=slug), 303)


def _is_approval(answer: Mapping[str, str]) -> bool:
    """An administrator back from approving: it answers no question of ours, and nothing follows from it.

    https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
    """
    return answer.get("admin_consent", "").lower() == "true" and not answer.get("code") and not answer.get("error")


def _is_refused_approval(answer: Mapping[str, str]) -> bool:
    """The same page, cancelled. Every sign-in of ours has a `state` that comes back; the approval's link has none."""
    return bool(answer.get("error")) and not answer.get("state")


def _back_from_approval(slug: str, kind: str) -> BaseResponse:
    """Often somebody without an account here: they are told on the page that they can see."""
    if current_user.is_authenticated:
        notices.leave(kind)
        return redirect(url_for("integrations.deep_link", slug=slug), 303)
    flash(APPROVALS[kind])
    return redirect(url_for("sign_in.show"), 303)


def _finish(slug: str) -> str:
    try:
        workflow.finish(current_user.id, slug, browser_name(), request.args)
    except SignInRefused as refused:
        if refused.reason is SignInReason.ADMIN_APPROVAL_NEEDED:
            approval.wait(current_user.id, slug)
        return refused.reason.value
    except workflow.StillDisconnecting:
        return "still_disconnecting"
    except workflow.WrongAccount:
        return "wrong_account"
    except NotNow:
        return "keys_away"
    except ProviderError as error:
        return _kind(error)
    return "connected"


def _leave(slug: str, *, replaces: Connection | None = None) -> ResponseReturnValue:
    try:
        return go(workflow.start(current_user.id, slug, browser_name(), replaces=replaces))
    except workflow.StillDisconnecting:
        notices.leave("still_disconnecting")
    except NotNow:
        notices.leave("keys_away")
    except ProviderError as error:
        notices.leave(_kind(error))
    return go(url_for("integrations.deep_link", slug=slug))


def _kind(error: ProviderError) -> str:
    return "our_fault" if isinstance(error, OurFault) else "unreachable"

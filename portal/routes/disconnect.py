"""Disconnect: the question, the click, the progress, and the confirmation page with its receipt."""

from __future__ import annotations

import json

from flask import Blueprint, Response, abort, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select

from portal.db import db
from portal.models import Connection, Disconnection, Receipt
from portal.models.connection import CONNECTED, NEEDS_ATTENTION
from portal.models.disconnection_step import LEFT_TO_YOU
from portal.parts import parts
from portal.providers.base import AccountKind, Handover
from portal.routes.integrations import render_card
from portal.web import administrators, notices
from portal.web.guards import own_connection, own_disconnection, public
from portal.web.htmx import go, wants_fragment
from portal.workflows import disconnect as workflow
from portal.workflows import receipt as receipts
from portal.workflows.inventory import take

bp = Blueprint("disconnect", __name__)


@bp.app_template_test("remote_step")
def is_remote(name: str) -> bool:
    """Whether a step asks the provider, and so is given up at the deadline or on "Erase now"."""
    return name in workflow.BY_NAME and workflow.BY_NAME[name].give_up is not None


@bp.get("/connections/<connection_id>/disconnect")
def ask(connection_id: str) -> ResponseReturnValue:
    """The question: what will happen, counted from this connection. Changes nothing."""
    already = _running_or_ended(connection_id)
    if already is not None:
        return _see(already)
    connection = own_connection(connection_id)
    template = "disconnect/_confirm.html" if wants_fragment() else "disconnect/confirm.html"
    return render_template(template, connection=connection, inventory=take(connection), steps=workflow.STEPS)


@bp.post("/connections/<connection_id>/disconnect")
def confirm(connection_id: str) -> ResponseReturnValue:
    """The click. A second one, from wherever, gets the same disconnection."""
    disconnection = _running_or_ended(connection_id)
    if disconnection is None:
        own_connection(connection_id)
        disconnection = workflow.begin(
            connection_id, current_user.id, remove_meetings=request.form.get("meetings") == "remove"
        )
    if disconnection is None:
        abort(404)
    if wants_fragment():
        if disconnection.is_finished():
            return _finished(disconnection)
        return render_card(disconnection.integration, connection_id)
    return _see(disconnection)


@bp.get("/disconnections/<disconnection_id>")
def show(disconnection_id: str) -> ResponseReturnValue:
    """One address for the whole story: progress while it runs, the confirmation page for ever after."""
    disconnection = own_disconnection(disconnection_id)
    if wants_fragment():
        return _finished(disconnection) if disconnection.is_finished() else _progress("_progress", disconnection)
    if not disconnection.is_finished():
        return _progress("progress", disconnection)
    receipt = db.session.get_one(Receipt, disconnection.id)
    return render_template(
        "disconnect/receipt.html",
        disconnection=disconnection,
        receipt=json.loads(receipt.body),
        verified=receipts.verify(receipt),
        key_known=receipts.is_of_a_known_key(receipt),
        signature=receipt.signature,
        key_id=receipt.key_id,
        handover=_handover(disconnection),
        administrator_alone=_is_the_administrators_alone(disconnection),
        notice=notices.take(),
        message=administrators.withdrawal_text(),
        others=_still_connected(disconnection.integration),
    )


@bp.get("/disconnections/<disconnection_id>/receipt.json")
def download(disconnection_id: str) -> Response:
    """The receipt as signed, with its signature and the name of the key."""
    disconnection = own_disconnection(disconnection_id)
    receipt = db.session.get(Receipt, disconnection.id)
    if receipt is None:
        abort(404)
    envelope = {"receipt": receipt.body, "signature": receipt.signature, "key_id": receipt.key_id}
    answer = Response(json.dumps(envelope, indent=2), mimetype="application/json")
    answer.headers["Content-Disposition"] = f'attachment; filename="coordinoter-receipt-{disconnection.id[:8]}.json"'
    return answer


@bp.get("/receipt-keys.json")
@public
def published_keys() -> Response:
    """The public keys of every receipt: key id to raw Ed25519 public key in base64 (RFC 8032)."""
    return Response(json.dumps(receipts.public_keys(), indent=2), mimetype="application/json")


@bp.post("/disconnections/<disconnection_id>/erase-now")
def erase_now(disconnection_id: str) -> ResponseReturnValue:
    """Do not wait for the provider any longer."""
    disconnection = own_disconnection(disconnection_id)
    workflow.erase_now(disconnection.id)
    return _progress("_progress", disconnection) if wants_fragment() else _see(disconnection)


def _handover(disconnection: Disconnection) -> Handover | None:
    """What an administrator may be given, where the permission of a work account was left to people."""
    step = next((each for each in disconnection.steps if each.name == "withdraw_access"), None)
    if disconnection.account_kind != AccountKind.WORK or step is None or step.outcome != LEFT_TO_YOU:
        return None
    return parts().providers[disconnection.integration].handover(parts().settings.redirect_uri)


def _is_the_administrators_alone(disconnection: Disconnection) -> bool:
    """Whether what is left is the approval for everyone, which nobody else can take back."""
    provider, kind = parts().providers[disconnection.integration], AccountKind(disconnection.account_kind)
    step = next((each for each in disconnection.steps if each.name == "withdraw_access"), None)
    return step is not None and step.link_title == provider.consent_page(kind, tenant_wide=True).title


def _still_connected(integration: str) -> list[str]:
    """The addresses of the member's other accounts, which this disconnection did not touch."""
    rows = db.session.scalars(
        select(Connection.account_address)
        .where(
            Connection.member_id == current_user.id,
            Connection.integration == integration,
            Connection.state.in_((CONNECTED, NEEDS_ATTENTION)),
        )
        .order_by(Connection.connected_at, Connection.id)
    )
    return [address or "another account" for address in rows]


def _running_or_ended(connection_id: str) -> Disconnection | None:
    return db.session.scalar(
        select(Disconnection).where(
            Disconnection.connection_id == connection_id, Disconnection.member_id == current_user.id
        )
    )


def _see(disconnection: Disconnection) -> ResponseReturnValue:
    return go(url_for("disconnect.show", disconnection_id=disconnection.id))


def _finished(disconnection: Disconnection) -> str:
    return render_template("disconnect/_finished.html", disconnection=disconnection)


def _progress(template: str, disconnection: Disconnection) -> str:
    return render_template(f"disconnect/{template}.html", disconnection=disconnection, steps=disconnection.steps)

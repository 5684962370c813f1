"""Manage Integrations: the page with the cards, and each card alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, abort, render_template, request
from flask_login import current_user
from sqlalchemy import or_, select

from portal.db import db
from portal.models import Approval, Calendar, Connection, Disconnection, Member
from portal.models.connection import CONNECTED, DISCONNECTING, NEEDS_ATTENTION
from portal.parts import parts
from portal.web import administrators, notices
from portal.web.guards import me
from portal.web.htmx import wants_fragment
from portal.workflows import approval
from portal.workflows.inventory import Inventory, take

bp = Blueprint("integrations", __name__)


@dataclass(frozen=True)
class Link:
    """One account on a card: connected, in need of attention, or on its way out."""

    connection: Connection | None
    inventory: Inventory | None
    disconnection: Disconnection | None
    calendars: tuple[Calendar, ...] = ()
    is_shared: bool = False

    def connection_id(self) -> str:
        """Of the connection, whether its row is still there or not."""
        return self.connection.id if self.connection else self.disconnection.connection_id if self.disconnection else ""


@dataclass(frozen=True)
class Card:
    """One integration and the member's links to it."""

    slug: str
    title: str
    links: tuple[Link, ...]
    waiting: Approval | None = None
    approval_link: str = ""
    approval_text: str = ""

    def is_syncing(self) -> bool:
        """Whether any of its accounts syncs at this moment: then the card follows."""
        return any(link.connection is not None and link.connection.is_syncing() for link in self.links)

    def shown(self) -> str:
        """The connections that a page with this card shows, as a query: it says so when it asks for the card again."""
        return "?" + urlencode([("shown", link.connection_id()) for link in self.links]) if self.links else ""


@bp.get("/integrations")
def page() -> str:
    """All cards."""
    return _render(focus=None)


@bp.get("/integrations/<slug>")
def deep_link(slug: str) -> str:
    """The same page, with one card brought into view: where help articles lead."""
    if slug not in parts().providers:
        abort(404)
    return _render(focus=slug)


@bp.get("/integrations/<slug>/card")
def card(slug: str) -> str:
    """One card alone, for a page that follows a sync; the whole page for everybody else."""
    if slug not in parts().providers:
        abort(404)
    return render_card(slug) if wants_fragment() else _render(focus=slug)


def render_card(slug: str, *shown: str) -> str:
    """The card as a fragment, as other routes answer it too, to a page that shows these connections among others."""
    card = make_card(slug, {*shown, *request.args.getlist("shown")})
    return render_template("integrations/_card.html", card=card, notice=notices.take(), focus=None)


def make_card(slug: str, shown: Collection[str] = ()) -> Card:
    """Look up what the signed-in member has on a card.

    A disconnection of a connection that is among those `shown` stays on the card when it has ended: the page that still
    shows it is led to the receipt, however late it looks. Not when something was connected since.
    """
    connections = db.session.scalars(
        select(Connection)
        .where(
            Connection.member_id == current_user.id,
            Connection.integration == slug,
            Connection.state.in_((CONNECTED, NEEDS_ATTENTION, DISCONNECTING)),
        )
        .order_by(Connection.connected_at, Connection.id)
    ).all()
    disconnections = db.session.scalars(
        select(Disconnection)
        .where(
            Disconnection.member_id == current_user.id,
            Disconnection.integration == slug,
            or_(Disconnection.finished_at.is_(None), Disconnection.connection_id.in_(shown)),
        )
        .order_by(Disconnection.started_at)
    ).all()
    newest = max((each.connected_at for each in connections if each.connected_at), default=None)
    leaving = [each for each in disconnections if not (each.finished_at and newest and newest > each.finished_at)]
    # A disconnection near its end has no connection row any more, and is still at work.
    links = [
        Link(each, take(each), None, _writable(each), _is_shared(each))
        for each in connections
        if each.state != DISCONNECTING
    ]
    links += [Link(None, None, each) for each in leaving]
    title = parts().providers[slug].title
    waiting = approval.waiting(current_user.id, slug)
    if waiting is None:
        return Card(slug, title, tuple(links))
    message = administrators.approval_text(slug)
    return Card(slug, title, tuple(links), waiting, administrators.approval_link(slug), message)


def _is_shared(connection: Connection) -> bool:
    """Whether a colleague has connected the same account. Who it is stays their affair, other businesses too."""
    other = (
        select(Connection.id)
        .join(Member, Connection.member_id == Member.id)
        .where(
            Connection.integration == connection.integration,
            Connection.account_tenant == connection.account_tenant,
            Connection.account_subject == connection.account_subject,
            Connection.state.in_((CONNECTED, NEEDS_ATTENTION)),
            Connection.member_id != connection.member_id,
            Member.business_id == me().business_id,
        )
    )
    return db.session.scalar(other.limit(1)) is not None


def _writable(connection: Connection) -> tuple[Calendar, ...]:
    """The calendars that our meetings may be written into."""
    return tuple(
        db.session.scalars(
            select(Calendar)
            .where(Calendar.connection_id == connection.id, Calendar.can_edit)
            .order_by(Calendar.is_default.desc(), Calendar.name)
        )
    )


def _render(focus: str | None) -> str:
    cards = [make_card(slug) for slug in parts().providers]
    return render_template("integrations/page.html", cards=cards, focus=focus, notice=notices.take())

"""Who may see what: nobody without signing in, and nothing of a stranger's."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import delete, select

from portal.db import db
from portal.models import Meeting, Member
from tests.world import HTMX, Visitor, World

OPEN = {"static", "sign_in.show", "sign_in.submit", "sign_in.leave", "health.check", "connect.callback"} | {
    "help.centre",
    "help.panel",
    "help.show",
    "help.answer",
    "help.find",
    "help.seen",
    "live.stream",
    "chat.page",
    "chat.show",
    "chat.send",
    "chat.entries",
    "chat.unread",
    "chat.here",
    "chat.presence",
    "chat.read",
    "chat.typing",
    "chat.image",
    "chat.export",
    "chat.delete",
    "notifications.deliver",
    "metrics.show",
    "disconnect.published_keys",
}


def test_it_works(anybody: Visitor, alice: Visitor) -> None:
    assert anybody.client.get("/agenda").status_code == 303
    alice.get("/agenda")


def test_every_view_is_closed_unless_it_says_otherwise(app: Flask) -> None:
    is_open = {name for name, view in app.view_functions.items() if getattr(view, "is_public", False)}
    assert is_open <= OPEN


@pytest.mark.parametrize("path", ["/", "/agenda", "/integrations", "/integrations/outlook-calendar", "/support"])
def test_the_way_back_is_kept(anybody: Visitor, path: str) -> None:
    location = urlsplit(anybody.client.get(path).location)
    assert location.path == "/sign-in"
    assert parse_qs(location.query).get("next", ["/"]) == [path]


def test_htmx_is_sent_to_sign_in_as_a_whole_page(anybody: Visitor) -> None:
    current = {**HTMX, "HX-Current-URL": "http://localhost/integrations"}
    answer = anybody.client.get("/integrations/outlook-calendar/card", headers=current)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/integrations"


def test_a_stranger_finds_nothing_of_alice(world: World) -> None:
    world.connected()
    connection = world.connection().id
    db.session.rollback()
    for email in ("bob@northwind.example", "dana@northwind.example", "charlie@fabrikam.example"):
        stranger = world.sign_in(email)
        assert stranger.client.get(f"/connections/{connection}/disconnect").status_code == 404
        assert stranger.post(f"/connections/{connection}/sync").status_code == 404


def test_a_member_who_is_gone_is_not_signed_in(world: World, alice: Visitor) -> None:
    member_id = db.session.scalars(select(Member.id).where(Member.email == "alice@northwind.example")).one()
    db.session.execute(delete(Meeting).where(Meeting.organizer_id == member_id))
    db.session.execute(delete(Member).where(Member.id == member_id))
    db.session.commit()
    assert alice.client.get("/agenda").status_code == 303

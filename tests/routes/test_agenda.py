"""The agenda and the home page: copied events beside the meetings of Coordinoter."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select, update

from portal import clock
from portal.db import db
from portal.models import Connection, Copy, Meeting
from tests.walker import Walker
from tests.world import Visitor, World


def checked(visitor: Visitor) -> Visitor:
    visitor.client = Walker(visitor.client)  # type: ignore[assignment]
    return visitor


def words(visitor: Visitor, path: str = "/agenda") -> str:
    return visitor.get(path).get_text(" ", strip=True)


def test_it_works(world: World) -> None:
    alice = checked(world.connected())
    page = words(alice)
    copy = db.session.scalars(
        select(Copy).where(Copy.subject != "", Copy.starts_at > clock.now(), Copy.starts_at < in_days(5))
    ).first()
    meeting = db.session.scalars(select(Meeting).where(Meeting.starts_at > clock.now())).first()
    db.session.rollback()
    assert copy is not None
    assert meeting is not None
    assert copy.subject in page
    assert meeting.title in page
    assert "No calendar is connected" not in page


def in_days(days: int) -> object:
    return clock.now() + timedelta(days=days)


def test_without_a_calendar_it_shows_meetings_and_the_way_to_connect(alice: Visitor) -> None:
    page = checked(alice).get("/agenda")
    assert page.find("a", href="/integrations/outlook-calendar", string="Connect Outlook Calendar") is not None
    assert page.select(".event.is-info")
    assert not page.select(".event.is-yours")


def test_what_a_private_event_is_about_is_not_known(world: World) -> None:
    alice = world.connected()
    db.session.execute(update(Copy).values(is_private=True, subject=""))
    db.session.commit()
    page = alice.get("/agenda")
    titles = {title.get_text(strip=True) for title in page.select(".event.is-yours .event-title")}
    assert titles == {"Private event"}


def test_nobody_sees_the_copies_of_others(world: World) -> None:
    world.connected()
    for email in ("bob@northwind.example", "dana@northwind.example", "charlie@fabrikam.example"):
        assert not world.sign_in(email).get("/agenda").select(".event.is-yours"), email


def test_copies_vanish_the_moment_the_disconnection_begins(world: World) -> None:
    alice = world.connected()
    assert alice.get("/agenda").select(".event.is-yours")
    connection_id = world.connection().id
    db.session.rollback()
    alice.post(f"/connections/{connection_id}/disconnect")
    assert not alice.get("/agenda").select(".event.is-yours")


def test_copies_of_a_connection_in_need_stay(world: World) -> None:
    alice = world.connected()
    db.session.execute(update(Connection).values(state="needs_attention", attention_reason="consent_withdrawn"))
    db.session.commit()
    assert alice.get("/agenda").select(".event.is-yours")
    assert "Needs attention" in words(checked(alice), "/")


def test_an_event_of_long_ago_or_far_ahead_is_not_shown(world: World) -> None:
    alice = world.connected()
    for days in (-40, 40):
        starts = clock.now() + timedelta(days=days)
        db.session.execute(update(Copy).values(starts_at=starts, ends_at=starts + timedelta(hours=1)))
        db.session.commit()
        assert not alice.get("/agenda").select(".event.is-yours")


def test_home_says_how_the_connection_is(world: World) -> None:
    bob = checked(world.sign_in("bob@northwind.example"))
    assert "Not connected" in words(bob, "/")
    alice = checked(world.connected())
    home = words(alice, "/")
    assert "Connected" in home
    assert "adele@contoso.example" in home
    assert "Welcome, Alice" in home


def test_home_has_room_for_an_empty_week(alice: Visitor) -> None:
    db.session.execute(update(Meeting).values(starts_at=in_days(300), ends_at=in_days(301)))
    db.session.commit()
    assert "Nothing is planned" in words(checked(alice), "/")
    assert "Nothing is planned" in words(alice)

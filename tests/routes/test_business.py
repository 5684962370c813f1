"""Your business: what its administrator decides, asked first, recorded, and taken back."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Activity, Business, Member
from tests.walker import Walker
from tests.world import CARD, CLIENT_ID, Visitor, World


@pytest.fixture
def dana(world: World) -> Visitor:
    """The administrator of Alice's business, every page checked."""
    dana = world.sign_in("dana@northwind.example")
    dana.client = Walker(dana.client)  # type: ignore[assignment]
    return dana


def wanted() -> dict[str, bool]:
    db.session.rollback()
    found = {row.name: row.removes_grants for row in db.session.scalars(select(Business))}
    db.session.rollback()
    return found


def events() -> list[tuple[str, str]]:
    db.session.rollback()
    rows = db.session.execute(
        select(Activity.event, Member.email).join(Member, Activity.member_id == Member.id).order_by(Activity.at)
    )
    found = [(event, email) for event, email in rows if event.startswith("business:")]
    db.session.rollback()
    return found


def test_it_works(dana: Visitor) -> None:
    dana.get("/business")
    assert "Off" in dana.soup.find("section").get_text()
    dana.press("Turn on")
    assert not any(wanted().values()), "a question changes nothing"
    dana.press("Yes, remove them")
    assert wanted() == {"Northwind Traders": True, "Fabrikam": False, "Coordinoter": False}
    assert "Turned on by Dana Duval" in dana.soup.get_text(" ", strip=True)
    dana.press("Turn off")
    dana.press("Yes, leave them to people")
    assert not any(wanted().values())
    who = "dana@northwind.example"
    assert events() == [("business:removes_grants:on", who), ("business:removes_grants:off", who)]


def test_saying_it_twice_is_recorded_once(dana: Visitor) -> None:
    dana.get("/business")
    for _ in range(2):
        dana.post("/business/permissions", remove="yes")
    assert len(events()) == 1


def test_it_says_what_the_right_allows_and_how_to_give_and_take_it(dana: Visitor) -> None:
    page = dana.get("/business")
    words = page.get_text(" ", strip=True)
    assert "DelegatedPermissionGrant.ReadWrite.All" in words
    assert "enormous" in words
    assert "How to undo it" in words
    for name in ("allow", "undo"):
        lines = page.find("textarea", id=name)
        assert lines is not None
        assert CLIENT_ID in lines.get_text()
    assert "adminconsent" not in str(page), "that page would approve the app for everyone"


@pytest.mark.parametrize(
    "email", ["alice@northwind.example", "bob@northwind.example", "charlie@fabrikam.example", "sam@coordinoter.example"]
)
def test_only_the_administrator_sees_and_decides(world: World, email: str) -> None:
    visitor = world.sign_in(email)
    assert "Your business" not in visitor.get("/").find("nav").get_text()
    visitor.get("/business", status=403)
    visitor.get("/business/permissions", status=403)
    assert visitor.post("/business/permissions", remove="yes").status_code == 403
    assert not any(wanted().values())


def test_the_way_there_is_in_the_navigation(dana: Visitor) -> None:
    nav = dana.get("/").find("nav")
    assert nav is not None
    assert nav.find("a", href="/business") is not None


def test_an_answer_that_is_none_changes_nothing(dana: Visitor) -> None:
    dana.get("/business")
    for answer in ("", "maybe"):
        assert dana.post("/business/permissions", remove=answer).status_code == 400
    assert not any(wanted().values())


def test_the_question_before_disconnecting_says_what_was_decided(world: World, dana: Visitor) -> None:
    alice = world.connected()
    question = f"/connections/{world.connection().id}/disconnect"
    assert "Coordinoter cannot do that for you" in alice.get(question).get_text()
    dana.get("/business")
    dana.post("/business/permissions", remove="yes")
    words = alice.get(question).get_text()
    assert "your business has asked us to remove it there" in words
    assert "Coordinoter cannot do that for you" not in words
    alice.get(CARD)

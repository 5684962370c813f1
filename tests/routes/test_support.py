"""Support: the messages people left; for Sam and nobody else."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import HelpMessage
from tests.walker import Walker
from tests.world import Visitor, World


@pytest.fixture
def sam(world: World) -> Visitor:
    """Sam, with a message of Alice's and a visitor's waiting, and every page checked."""
    alice = world.sign_in("alice@northwind.example")
    alice.post("/help/messages", text="First", reply_to="alice@northwind.example", page="/integrations")
    alice.post("/help/what-we-see-and-keep/answer", face="unhappy")
    visitor = world.visitor()
    visitor.get("/help")
    visitor.post("/help/messages", text="Second", reply_to="visitor@example.com")
    sam = world.sign_in("sam@coordinoter.example")
    sam.client = Walker(sam.client)  # type: ignore[assignment]
    return sam


def first_id() -> str:
    found = db.session.scalars(select(HelpMessage.id).where(HelpMessage.text == "First")).one()
    db.session.rollback()
    return found


def test_it_works(sam: Visitor) -> None:
    page = sam.get("/support").get_text(" ", strip=True)
    assert page.index("First") < page.index("Second")
    assert "Alice Ansel, Northwind Traders" in page
    assert "/integrations" in page
    assert "What we can see and keep 0 yes, 0 somewhat, 1 no" in page


def test_closing_keeps_the_message(sam: Visitor) -> None:
    sam.get("/support")
    sam.post(f"/support/messages/{first_id()}/close")
    page = sam.get("/support").get_text(" ", strip=True)
    assert page.index("Second") < page.index("Closed lately") < page.index("First")


def test_htmx_gets_the_closed_message_alone(sam: Visitor) -> None:
    message_id = first_id()
    answer = sam.post(f"/support/messages/{message_id}/close", htmx=True)
    assert answer.status_code == 200
    assert sam.soup.find("article", id=f"message-{message_id}") is not None
    assert "Closed" in sam.soup.get_text()


def test_closing_twice_keeps_the_first_moment(sam: Visitor) -> None:
    message_id = first_id()
    moments = set()
    for _ in range(2):
        sam.post(f"/support/messages/{message_id}/close")
        moments.add(db.session.scalars(select(HelpMessage.closed_at).where(HelpMessage.id == message_id)).one())
        db.session.rollback()
    assert len(moments) == 1


def test_a_message_that_does_not_exist_is_404(sam: Visitor) -> None:
    assert sam.post("/support/messages/nothing/close").status_code == 404


@pytest.mark.parametrize("email", ["alice@northwind.example", "dana@northwind.example", "charlie@fabrikam.example"])
def test_nobody_else_gets_in(world: World, sam: Visitor, email: str) -> None:
    other = world.sign_in(email)
    page = other.get("/support", status=403)
    assert "This page is not for you" in page.get_text()
    assert page.find("a", href="/support") is None
    assert other.post(f"/support/messages/{first_id()}/close").status_code == 403

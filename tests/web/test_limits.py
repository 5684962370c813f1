"""Limits as people and guessers meet them: on the doors they guard, counted in the database, in nobody else's way."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from portal import clock
from portal.db import db
from portal.models import LimitWindow
from portal.workflows import sign_in
from tests.world import PASSWORD, Visitor, World

ALICE, BOB = "alice@northwind.example", "bob@northwind.example"
WRONG = "a guess"


class Quick:
    """A hasher that takes no time."""

    def verify(self, _stored: str, password: str) -> None:
        if password != PASSWORD:
            raise sign_in.VerificationError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many guesses in little time."""
    sign_in.decoy()
    monkeypatch.setattr(sign_in, "hasher", Quick())


@pytest.fixture
def guesser(world: World, quick: None) -> Visitor:
    """Somebody before the form."""
    visitor = world.visitor()
    visitor.get("/sign-in")
    return visitor


def tries(visitor: Visitor, email: str, password: str = WRONG, *, machine: str = "127.0.0.1") -> int:
    data = {"csrf_token": visitor.csrf(), "email": email, "password": password}
    answer = visitor.client.post("/sign-in", data=data, environ_base={"REMOTE_ADDR": machine})
    return int(answer.status_code)


def counted() -> int:
    """How many callers are counted at this moment."""
    db.session.rollback()
    found = db.session.scalar(select(func.count()).select_from(LimitWindow)) or 0
    db.session.rollback()
    return found


def test_it_works(both: World, quick: None) -> None:
    """Guesses are counted where every process and machine sees them; whoever signs in leaves no count."""
    both.sign_in(ALICE)
    assert counted() == 0, "else many behind one address would lock each other out"
    visitor = both.visitor()
    visitor.get("/sign-in")
    assert [tries(visitor, ALICE) for _ in range(6)] == [422] * 5 + [429]
    assert counted() == 2, "the account at this machine, and the machine"


def test_a_stranger_s_guesses_lock_nobody_out_elsewhere(guesser: Visitor) -> None:
    assert [tries(guesser, ALICE, machine="127.0.0.9") for _ in range(6)][-1] == 429
    assert tries(guesser, ALICE, PASSWORD, machine="127.0.0.9") == 429, "there not even the right one is looked at"
    assert tries(guesser, ALICE, PASSWORD) == 303


def test_another_way_to_write_the_address_gives_no_further_guesses(guesser: Visitor) -> None:
    ways = (ALICE, ALICE.upper(), f"  {ALICE}", f"{ALICE} ", f"\t{ALICE.title()}", ALICE.capitalize())
    assert [tries(guesser, each) for each in ways] == [422] * 5 + [429]


def test_who_remembers_the_password_in_time_begins_anew(guesser: Visitor) -> None:
    for _ in range(3):
        assert [tries(guesser, ALICE) for _ in range(4)] == [422] * 4
        assert tries(guesser, ALICE, PASSWORD) == 303
        guesser.get("/")
        guesser.press("Sign out")


def test_that_one_signs_in_forgets_no_guesses_at_another_s(world: World, guesser: Visitor) -> None:
    """Else a guesser with an account of their own would never be stopped."""
    assert [tries(guesser, ALICE) for _ in range(5)] == [422] * 5
    world.sign_in(BOB)
    assert tries(guesser, ALICE) == 429


def test_one_machine_cannot_try_one_password_on_everybody(guesser: Visitor) -> None:
    found = [tries(guesser, f"somebody-{number}@northwind.example") for number in range(62)]
    assert found == [422] * 60 + [429] * 2
    assert tries(guesser, ALICE, PASSWORD) == 429
    assert tries(guesser, ALICE, PASSWORD, machine="127.0.0.9") == 303


def test_checks_are_limited_and_another_s_connection_costs_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    charlie = world.sign_in("charlie@fabrikam.example")
    charlie.connect("megan@outlook.example")
    his = world.connection().id
    charlie.get(f"/self-check/{his}")
    alice, now = world.sign_in(ALICE), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)  # however slow the machine is, all of it within a minute
    assert {alice.post(f"/self-check/{his}", htmx=True).status_code for _ in range(11)} == {404}
    assert [charlie.post(f"/self-check/{his}", htmx=True).status_code for _ in range(11)] == [200] * 10 + [429]


def test_a_visitor_s_corrections_cost_no_messages(world: World) -> None:
    visitor = world.visitor()
    visitor.get("/help?page=/sign-in")
    told = {"page": "/sign-in", "text": "I cannot sign in."}
    assert {visitor.post("/chat/messages", reply_to="nobody", **told).status_code for _ in range(6)} == {422}
    assert visitor.post("/chat/messages", reply_to="a@b.example", **told).status_code == 303

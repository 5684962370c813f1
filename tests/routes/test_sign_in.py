"""Sign in, sign out, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Member, SignIn
from portal.workflows import sign_in
from tests.walker import Walker
from tests.world import PASSWORD, Visitor, World

ALICE = "alice@northwind.example"


@pytest.fixture
def visitor(world: World) -> Visitor:
    """Somebody at the door, every page checked."""
    visitor = world.visitor()
    visitor.client = Walker(visitor.client)  # type: ignore[assignment]
    return visitor


def test_it_works(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    visitor.press("Sign in", email=ALICE, password=PASSWORD)
    assert visitor.page is not None
    assert visitor.page.request.path == "/"
    assert "Alice" in visitor.soup.get_text()
    visitor.press("Sign out")
    assert visitor.page.request.path == "/sign-in"
    assert visitor.client.get("/agenda").status_code == 303


def test_the_deep_link_survives_the_sign_in(visitor: Visitor) -> None:
    visitor.page = visitor.client.get("/integrations/outlook-calendar")
    visitor.get(visitor.page.location)
    visitor.press("Sign in", email=ALICE, password="wrong")
    visitor.press("Sign in", email=ALICE, password=PASSWORD)
    assert visitor.page.request.path == "/integrations/outlook-calendar"
    assert visitor.soup.find("h2", attrs={"autofocus": True}) is not None


@pytest.mark.parametrize("after", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example"])
def test_nobody_is_sent_elsewhere(visitor: Visitor, after: str) -> None:
    visitor.get("/sign-in")
    visitor.press("Sign in", follow=False, email=ALICE, password=PASSWORD, next=after)
    assert visitor.page is not None
    assert visitor.page.location == "/"


@pytest.mark.parametrize("email", [ALICE, "nobody@northwind.example", "", "ALICE' OR 1=1 --"])
def test_a_refusal_does_not_say_what_was_wrong(visitor: Visitor, email: str) -> None:
    visitor.get("/sign-in")
    visitor.press("Sign in", email=email, password="wrong")
    assert visitor.page is not None
    assert visitor.page.status_code == 422
    assert "do not belong together" in visitor.soup.get_text()
    assert "wrong" not in str(visitor.soup.find("input", id="password"))


def test_an_unknown_account_costs_as_much_as_a_wrong_password(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in.decoy()
    verified: list[str] = []
    monkeypatch.setattr(sign_in, "hasher", Counting(verified))
    assert sign_in.check_password("nobody@northwind.example", "x") is None
    assert sign_in.check_password(ALICE, "x") is None
    assert len(verified) == 2


class Counting:
    """A hasher that only notes that it was asked."""

    def __init__(self, verified: list[str]) -> None:
        self.verified = verified

    def verify(self, stored: str, _password: str) -> None:
        self.verified.append(stored)
        raise sign_in.VerificationError


def test_letters_of_an_address_may_be_capital(visitor: Visitor) -> None:
    visitor.get("/sign-in")
    visitor.press("Sign in", email=" Alice@Northwind.example ", password=PASSWORD)
    assert visitor.page is not None
    assert visitor.page.request.path == "/"


def test_only_failures_are_limited_and_only_for_that_account(world: World) -> None:
    for _ in range(8):
        world.sign_in(ALICE)
    guesser = world.visitor()
    codes = []
    for number in range(7):
        guesser.get("/sign-in")
        codes.append(guesser.post("/sign-in", email=ALICE, password=f"guess {number}").status_code)
    assert codes == [422] * 5 + [429] * 2
    assert "Too many tries" in guesser.soup.get_text()
    guesser.get("/sign-in")
    assert guesser.post("/sign-in", email="bob@northwind.example", password=PASSWORD).status_code == 303


def test_a_session_from_before_the_sign_in_does_not_live_on(world: World) -> None:
    visitor = world.visitor()
    visitor.get("/sign-in")
    before = visitor.csrf()
    visitor.press("Sign in", email=ALICE, password=PASSWORD)
    assert visitor.csrf() != before


def cookie_of(visitor: Visitor) -> str:
    """The session cookie, as somebody could have copied it."""
    found = visitor.client._client.get_cookie("coordinoter_session")  # type: ignore[attr-defined]
    assert found is not None
    return str(found.value)


def with_cookie(world: World, cookie: str) -> int:
    """What somebody with that cookie is answered at a page for members."""
    thief = world.visitor()
    thief.client._client.set_cookie("coordinoter_session", cookie)  # type: ignore[attr-defined]
    return int(thief.client.get("/agenda").status_code)


def test_a_copied_cookie_ends_with_the_sign_out_and_other_browsers_stay(world: World) -> None:
    here, there = world.sign_in(ALICE), world.sign_in(ALICE)
    copied = cookie_of(here)
    assert with_cookie(world, copied) == 200, "until then it is as good as the original"
    here.get("/")
    here.press("Sign out")
    assert with_cookie(world, copied) == 303
    there.get("/agenda")


def test_a_sign_in_is_no_other_member_s(world: World) -> None:
    """Names of sign-ins are in signed cookies; were one moved to another's, it would not fit."""
    alice = world.sign_in(ALICE)
    with alice.client._client.session_transaction() as session:  # type: ignore[attr-defined]
        session["_user_id"] = db.session.scalar(select(Member.id).where(Member.email == "bob@northwind.example"))
        db.session.rollback()
    assert alice.client.get("/agenda").status_code == 303


def test_a_second_sign_in_of_one_browser_ends_the_first(world: World) -> None:
    """Two tabs showed the form, and both were used: signing out must leave nothing that opens."""
    visitor = world.sign_in(ALICE)
    first = cookie_of(visitor)
    visitor.post("/sign-in", email=ALICE, password=PASSWORD)
    assert with_cookie(world, first) == 303
    assert with_cookie(world, cookie_of(visitor)) == 200


@pytest.mark.parametrize("swept", [False, True])
def test_old_sign_ins_open_nothing_and_are_swept_up(world: World, swept: bool) -> None:
    alice, bob = world.sign_in(ALICE), world.sign_in("bob@northwind.example")
    of_alice = select(Member.id).where(Member.email == ALICE).scalar_subquery()
    old = clock.now() - timedelta(days=32)
    db.session.execute(update(SignIn).where(SignIn.member_id == of_alice).values(started_at=old))
    db.session.commit()
    if swept:
        sign_in.forget_old()
    assert db.session.scalar(select(func.count()).select_from(SignIn)) == (1 if swept else 2)
    db.session.rollback()
    assert alice.client.get("/agenda").status_code == 303
    bob.get("/agenda")


def test_whoever_is_signed_in_goes_straight_on(alice: Visitor) -> None:
    assert alice.client.get("/sign-in?next=/agenda").location == "/agenda"


def test_signing_out_needs_a_post_with_a_token(alice: Visitor) -> None:
    assert alice.client.get("/sign-out").status_code == 405
    assert alice.client.post("/sign-out").status_code == 400
    alice.get("/agenda")


def test_only_a_demo_names_its_people(app: Flask, anybody: Visitor) -> None:
    assert PASSWORD in anybody.get("/sign-in").get_text()
    app.extensions["settings"] = replace(
        app.extensions["settings"], demo=False, base_url="https://localhost", extra_hosts=("localhost",)
    )
    assert PASSWORD not in anybody.get("/sign-in").get_text()
    assert ALICE not in anybody.soup.get_text()


def test_forms_that_change_who_one_is_are_not_boosted(alice: Visitor, anybody: Visitor) -> None:
    alice.get("/")
    assert alice.form("Sign out")["hx-boost"] == "false"
    anybody.get("/sign-in")
    assert anybody.form("Sign in")["hx-boost"] == "false"

"""Whether the person of an open conversation is here: told once per change, believed only as long as it can be true."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal import clock, live
from portal.db import db
from portal.models import Conversation, LiveEvent, Member
from portal.workflows import desk, whereabouts
from portal.workflows.conversation import Message, Person, start
from tests.world import World

CARD = "/integrations/outlook-calendar"


@pytest.fixture
def alice(both: World) -> Person:
    """Alice, who has just asked something."""
    member_id = db.session.scalars(select(Member.id).where(Member.email == "alice@northwind.example")).one()
    person = Person(member_id=member_id)
    start(person, Message("Hello"), reply_to="a@b.example", page="/agenda", article="", situation={})
    return person


@pytest.fixture
def told(both: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the desk is told."""
    heard: list[str] = []
    monkeypatch.setattr(live, "tell", lambda _session, to, what, data="": heard.append(f"{to} {what}"))
    yield heard


def conversation() -> Conversation:
    db.session.rollback()
    return db.session.scalars(select(Conversation)).one()


def passes(seconds: float) -> None:
    found = conversation()
    for name in ("person_seen_at", "person_left_at"):
        moment = getattr(found, name)
        setattr(found, name, moment - timedelta(seconds=seconds) if moment else None)
    db.session.commit()


def test_it_works(alice: Person) -> None:
    assert whereabouts.is_here(conversation()), "who has just written is here"
    assert conversation().person_page == "/agenda"
    whereabouts.here(alice, CARD)
    assert conversation().person_page == CARD
    whereabouts.left(alice)
    passes(180)
    found = conversation()
    assert not whereabouts.is_here(found)
    assert found.person_left_at is not None
    assert clock.now() - found.person_left_at > timedelta(minutes=3)
    assert found.person_page == CARD
    whereabouts.back(alice)
    assert whereabouts.is_here(conversation())


def test_only_news_is_told(alice: Person, told: list[str]) -> None:
    event = f"support live-person-{conversation().id}"
    whereabouts.here(alice, "/agenda")
    whereabouts.back(alice)
    whereabouts.renew({alice.audience()})
    assert told == []
    whereabouts.here(alice, CARD)
    assert told == [event]
    whereabouts.left(alice)
    whereabouts.left(alice)
    assert told == [event] * 2
    whereabouts.back(alice)
    whereabouts.back(alice)
    assert told == [event] * 3


def test_a_killed_process_is_not_believed_for_long(alice: Person) -> None:
    passes(whereabouts.BELIEVED.total_seconds() + 1)
    assert not whereabouts.is_here(conversation())


def test_streams_that_are_open_are_renewed_at_once_for_a_process(alice: Person) -> None:
    passes(40)
    whereabouts.renew({alice.audience(), "support"})
    passes(40)
    assert whereabouts.is_here(conversation())
    whereabouts.renew({"member:somebody-else"})
    passes(30)
    assert not whereabouts.is_here(conversation())


def test_an_open_stream_is_believed_more_than_another_process_that_saw_one_end(alice: Person, told: list[str]) -> None:
    whereabouts.left(alice)
    whereabouts.renew({alice.audience()})
    assert whereabouts.is_here(conversation())
    assert len(told) == 2


def test_nobody_is_watched_whose_conversation_is_closed(alice: Person, told: list[str]) -> None:
    sam = db.session.scalars(select(Member).where(Member.role == "support")).one()
    desk.close(conversation().id, sam)
    told.clear()
    whereabouts.here(alice, CARD)
    whereabouts.left(alice)
    whereabouts.renew({alice.audience()})
    row = conversation()
    assert (row.person_page, row.person_seen_at, row.person_left_at) == ("", None, None), "not even the last page"
    assert told == []


def test_it_reaches_the_desk_with_the_transaction(world: World) -> None:
    person = Person(visitor="somebody")
    at = start(person, Message("Hello"), reply_to="a@b.example", page="/sign-in", article="", situation={})
    whereabouts.here(person, "/help")
    db.session.rollback()
    assert f"live-person-{at}" in db.session.scalars(select(LiveEvent.what)).all()

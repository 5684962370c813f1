"""Who of support is here: told once per change, believed only as long as it can be true; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from portal import clock, live
from portal.db import db
from portal.models import Conversation, LiveEvent, Member, Presence
from portal.workflows import conversation, presence
from portal.workflows.conversation import Message, Person
from tests.world import World

NEWS = "everybody live-presence"


@pytest.fixture
def sam(both: World) -> str:
    """Sam, of support."""
    return db.session.scalars(select(Member.id).where(Member.role == "support")).one()


@pytest.fixture
def told(both: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What open pages are told."""
    heard: list[str] = []
    monkeypatch.setattr(live, "tell", lambda _session, to, what, data="": heard.append(f"{to} {what}"))
    yield heard


def here() -> list[str]:
    """What is stored, not what a session still remembers."""
    db.session.rollback()
    return presence.here()


def passes(seconds: float) -> None:
    db.session.rollback()
    for row in db.session.scalars(select(Presence)):
        row.seen_at -= timedelta(seconds=seconds)
    db.session.commit()


def colleague(of: str) -> str:
    """Max, who gives support as well."""
    one = db.session.get_one(Member, of)
    more = {"business_id": one.business_id, "password_hash": one.password_hash}
    other = Member(email="max@coordinoter.example", name="Max Moor", role="support", **more)
    db.session.add(other)
    db.session.commit()
    return other.id


def test_it_works(sam: str) -> None:
    assert here() == []
    presence.arrive(sam)
    assert here() == ["Sam"], "no more of the name than people need"
    presence.leave(sam)
    assert here() == []


def test_only_news_is_told(sam: str, told: list[str]) -> None:
    """Every open page of everybody asks anew when this is told."""
    presence.arrive(sam)
    assert told == [NEWS]
    passes(20)
    presence.arrive(sam)
    assert told == [NEWS], "still here"
    presence.leave(sam)
    assert told == [NEWS] * 2


def test_a_killed_process_is_not_believed_for_long_and_who_comes_back_is_news(sam: str, told: list[str]) -> None:
    presence.arrive(sam)
    passes(presence.BELIEVED.total_seconds() + 1)
    assert here() == []
    told.clear()
    presence.arrive(sam)
    assert here() == ["Sam"]
    assert told == [NEWS]


def test_whoever_is_renewed_stays(sam: str) -> None:
    presence.arrive(sam)
    for _ in range(3):
        passes(40)
        presence.arrive(sam)
    assert here() == ["Sam"]


def test_two_pages_opened_at_the_same_moment_are_one_presence(both: World, sam: str) -> None:
    """On PostgreSQL the second one finds out only when the first has committed; it must not break off its stream."""
    db.session.rollback()
    broke: list[Exception] = []

    def second() -> None:
        with both.app.app_context():
            try:
                presence.arrive(sam)
            except Exception as error:
                broke.append(error)

    with Session(db.engine) as session:
        session.add(Presence(member_id=sam, seen_at=clock.now()))
        session.flush()
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits for the first"
        session.commit()
    thread.join(20)
    assert (broke, here()) == ([], ["Sam"])


def test_one_leaves_and_the_other_stays(sam: str) -> None:
    for each in (colleague(sam), sam):
        presence.arrive(each)
    assert here() == ["Max", "Sam"]
    presence.leave(sam)
    assert here() == ["Max"]


def test_it_reaches_pages_with_the_transaction(world: World) -> None:
    member_id = db.session.scalars(select(Member.id).where(Member.role == "support")).one()
    presence.arrive(member_id)
    db.session.rollback()
    assert db.session.scalars(select(LiveEvent.what)).all() == ["live-presence"]
    presence.leave(member_id)
    db.session.rollback()
    assert db.session.scalars(select(LiveEvent.what)).all() == ["live-presence"] * 2


@pytest.mark.parametrize(
    ("minutes", "usual"), [(1, "in a minute"), (12, "in 12 minutes"), (89, "in 89 minutes"), (180, "within 3 hours")]
)
def test_the_latest_conversations_say_how_long_an_answer_takes(
    both: World, monkeypatch: pytest.MonkeyPatch, minutes: float, usual: str
) -> None:
    monkeypatch.setattr(presence, "RECENT", 3)
    alice = Person(db.session.scalars(select(Member.id).where(Member.email == "alice@northwind.example")).one())
    now, told = clock.now(), {"reply_to": "a@b.example", "page": "", "article": ""}
    # The latest waits for its answer still; of the three before it one took for ever; what was before counts no more.
    for days, waited in enumerate((None, minutes, 9_999, minutes, 500, 500, 500, 500, 500)):
        at = conversation.start(alice, Message("Hi", f"n{days}"), situation={}, **told)  # type: ignore[arg-type]
        row = db.session.get_one(Conversation, at)
        row.started_at = now - timedelta(days=days + 2)
        row.answered_at = None if waited is None else row.started_at + timedelta(minutes=waited)
        db.session.commit()
    assert presence.usual_answer() == usual

"""What support's desk shows: everybody in the right queue and order, and nobody's things beside another's conversation.

On both databases; what the pages make of it is in tests/routes/test_support.py.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from portal import clock
from portal.db import db, new_id
from portal.models import Answer, ArticleView, Conversation, Disconnection, Member
from portal.workflows import conversation, desk, disconnect, queue
from portal.workflows.activity import record
from portal.workflows.conversation import Message, Person
from tests.world import CARD, World

ALICE, BOB, SAM = "alice@northwind.example", "bob@northwind.example", "sam@coordinoter.example"
NOTHING = queue.Known([], [], None, [], [])


def member(email: str) -> Member:
    return db.session.scalars(select(Member).where(Member.email == email)).one()


def asks(person: Person, text: str, *, hours_ago: float = 0, reply_to: str = "a@b.example", article: str = "") -> str:
    """A conversation that was touched last so many hours ago; its id."""
    told = {"reply_to": reply_to, "page": "/agenda", "article": article}
    at = conversation.start(person, Message(text, new_id()), situation={}, **told)  # type: ignore[arg-type]
    row = db.session.get_one(Conversation, at)
    row.last_at = row.started_at = clock.now() - timedelta(hours=hours_ago)
    db.session.commit()
    return at


def shown(which: str, words: str = "") -> list[str]:
    """The first words of each conversation of a queue."""
    found = [row.said.text for row in queue.look(which, member(SAM).id, words) if row.said]
    db.session.rollback()
    return found


def known(at: str) -> queue.Known:
    db.session.rollback()
    return queue.know(db.session.get_one(Conversation, at))


# --- the queues -----------------------------------------------------------------------------------------------------


def test_it_works(both: World) -> None:
    """Who has waited longest stands first; everywhere else the latest does."""
    alice, sam = Person(member(ALICE).id), member(SAM)
    ids = {text: asks(alice, text, hours_ago=hours) for text, hours in (("new", 1), ("oldest", 9), ("old", 5))}
    assert shown(queue.WAITING) == ["oldest", "old", "new"]
    assert shown(queue.ALL) == ["new", "old", "oldest"]
    assert (shown(queue.MINE), shown(queue.CLOSED)) == ([], [])
    assert queue.waiting() == 3
    for text in ("oldest", "new"):
        desk.assign(ids[text], sam)
    assert shown(queue.MINE) == ["new", "oldest"]
    for text in ("new", "old"):
        desk.close(ids[text], sam)
    assert shown(queue.CLOSED) == ["old", "new"], "the one that was closed last"
    assert (shown(queue.MINE), shown(queue.WAITING), queue.waiting()) == (["oldest"], ["oldest"], 1)


def test_mine_is_not_a_colleague_s(both: World) -> None:
    sam = member(SAM)
    more = {"business_id": sam.business_id, "password_hash": sam.password_hash}
    other = Member(email="max@coordinoter.example", name="Max Moor", role="support", **more)
    db.session.add(other)
    db.session.commit()
    alice = Person(member(ALICE).id)
    for text, whose in (("Sam's", member(SAM)), ("Max's", other), ("nobody's", None)):
        desk.assign(asks(alice, text), whose)
    assert shown(queue.MINE) == ["Sam's"]


def test_a_queue_too_long_to_be_shown_keeps_who_has_waited_longest(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "SHOWN", 2)
    for number in range(4):
        asks(Person(member(ALICE).id), f"{number}", hours_ago=number)
    assert shown(queue.WAITING) == ["3", "2"]
    assert queue.waiting() == 4


def test_only_what_the_person_wrote_waits_to_be_read(both: World) -> None:
    """Neither a colleague's answer or note, nor what the desk did, however far anybody has read."""

    def unread() -> int:
        (row,) = queue.look(queue.ALL, sam_id)
        db.session.rollback()
        return row.unread

    alice_id, sam_id = member(ALICE).id, member(SAM).id
    at = asks(Person(alice_id), "It hangs.")
    conversation.say(at, Message("Still.", new_id()), author_id=alice_id)
    assert unread() == 2
    conversation.say(at, Message("A note.", new_id()), author_id=sam_id, by_support=True, note=True)
    assert unread() == 2
    conversation.say(at, Message("Try it again.", new_id()), author_id=sam_id, by_support=True)
    desk.close(at, member(SAM))
    assert unread() == 0
    db.session.execute(update(Conversation).values(support_read=0))
    db.session.commit()
    assert unread() == 2


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("100%", ["100% sure"]),
        ("_y_", ["snake _y_"]),
        (r"C:\temp", [r"It is in C:\temp"]),
        ("VISITOR@example", ["100% sure"]),
        ("bob", ["snake _y_"]),
        ("nowhere", []),
    ],
)
def test_words_are_looked_for_as_they_are_in_what_was_said_and_in_whoever_said_it(
    both: World, words: str, found: list[str]
) -> None:
    asks(Person(visitor="somebody"), "100% sure", reply_to="visitor@example.com")
    asks(Person(member(ALICE).id), r"It is in C:\temp")
    asks(Person(member(ALICE).id), "100 pure, C:temp, xyz")
    asks(Person(member(BOB).id), "snake _y_")
    assert shown(queue.WAITING, words) == found


# --- beside a conversation ------------------------------------------------------------------------------------------


def test_what_stands_beside_a_conversation_is_its_person_s_alone(both: World) -> None:
    bob = both.connected(BOB, "megan@outlook.example")
    bob.get(f"/self-check/{both.connection().id}")
    bob.press("Check now")
    connection = both.connection()
    connection_id, bob_id = connection.id, connection.member_id
    assert disconnect.begin(connection_id, bob_id, reason="Bob's own reason") is not None
    record("watch:orphan", member_id=None, connection_id=connection_id, detail="nobody of us did this for him")
    record("watch:unread", member_id=None, connection_id=None, detail="about no connection at all")
    record("support:retry", member_id=member(SAM).id, connection_id=connection_id, detail="for Bob")
    db.session.commit()
    of_bob, of_alice = asks(Person(bob_id), "Bob's words"), asks(Person(member(ALICE).id), "Alice's words")
    of_somebody = asks(Person(visitor="somebody"), "Somebody's words")
    assert known(of_alice) == NOTHING
    assert known(of_somebody) == NOTHING
    found = known(of_bob)
    assert [each.id for each in found.connections] == [connection_id]
    assert [row.reason for row, _steps, _why_not in found.disconnections] == ["Bob's own reason"]
    assert found.check is not None
    assert {each.event for each in found.activities} == {"connection:connect", "connection:disconnect", "support:retry"}
    assert found.others == []
    db.session.rollback()
    page = both.sign_in(SAM).get(f"/support/conversations/{of_alice}").get_text()
    assert "Bob" not in page
    assert "Outlook Calendar" not in page


def test_their_other_conversations_stand_beside_it_and_nobody_else_s(both: World) -> None:
    alice = Person(member(ALICE).id)
    at, _other = asks(alice, "This one"), asks(alice, "The other one")
    asks(Person(member(BOB).id), "Bob's")
    asks(Person(visitor="somebody"), "Somebody's")
    assert [row.said.text for row in known(at).others if row.said] == ["The other one"]


def test_a_sign_in_that_nobody_came_back_from_is_no_connection(both: World) -> None:
    alice = both.sign_in(ALICE)
    alice.get(CARD)
    alice.press("Connect to Microsoft", follow=False)
    assert known(asks(Person(member(ALICE).id), "It hangs.")).connections == []


def test_the_latest_disconnections_are_shown(both: World) -> None:
    alice, now = member(ALICE), clock.now()
    for days in range(5):
        row = Disconnection(connection_id=new_id(), member_id=alice.id, integration="outlook-calendar", epoch=2)
        row.account_kind, row.started_at, row.deadline_at = "work", now - timedelta(days=days), now
        row.reason = f"{days} days ago"
        db.session.add(row)
    at = asks(Person(alice.id), "Again and again")
    found = [row.reason for row, _steps, _why_not in known(at).disconnections]
    assert found == ["0 days ago", "1 days ago", "2 days ago"]


# --- articles -------------------------------------------------------------------------------------------------------


def test_authors_see_what_readers_did_with_each_article(both: World) -> None:
    now = clock.now()
    db.session.add_all([ArticleView(article="one", views=7), ArticleView(article="two", views=1)])
    for number in range(7):
        more = {"reader": f"r{number}", "reason": f"reason {number}" if number else "", "at": now - timedelta(number)}
        db.session.add(Answer(article="one", face="neutral" if number else "happy", **more))
    db.session.commit()
    asks(Person(member(ALICE).id), "After an article", article="two")
    asks(Person(member(ALICE).id), "After none")
    rows = queue.articles()
    assert set(rows) == {"one", "two"}
    assert (rows["one"].views, dict(rows["one"].faces), rows["one"].conversations) == (7, {"happy": 1, "neutral": 6}, 0)
    assert rows["one"].reasons == [f"reason {number}" for number in range(1, 6)], "the latest"
    assert (rows["two"].views, rows["two"].conversations) == (1, 1)

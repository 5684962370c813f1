"""Conversations on both databases: order and idempotency under load, and answers by mail."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from email.message import Message as Mail

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Handler
from sqlalchemy import select, update

from portal import clock
from portal import parts as parts_module
from portal.db import db
from portal.hours import Hours
from portal.models import Conversation, Entry, Member
from portal.parts import parts
from portal.workflows import conversation, presence
from portal.workflows.answer_by_mail import answer_by_mail
from portal.workflows.conversation import Message, Person
from tests.world import World


def member(email: str) -> str:
    found = db.session.scalars(select(Member.id).where(Member.email == email)).one()
    db.session.rollback()
    return found


def begun(**more: str) -> str:
    """Alice has asked."""
    alice = member("alice@northwind.example")
    told = {"reply_to": "alice@northwind.example", "page": "/", "article": "", **more}
    return conversation.start(Person(alice), Message("Hello", "first"), situation={}, **told)  # type: ignore[arg-type]


def answered(at: str, text: str = "Here it is.") -> None:
    conversation.say(at, Message(text), author_id=member("sam@coordinoter.example"), by_support=True)


def test_many_at_once_are_numbered_without_gap_and_the_same_one_is_stored_once(both: World) -> None:
    at = begun()
    alice = member("alice@northwind.example")

    def send(number: int) -> None:
        with both.app.app_context():
            conversation.say(at, Message(f"n{number // 2}", f"name-{number // 2}"), author_id=alice)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    rows = db.session.scalars(select(Entry).order_by(Entry.number)).all()
    assert [row.number for row in rows] == list(range(1, 10))
    assert {row.text for row in rows} == {"Hello", *(f"n{number}" for number in range(8))}


def test_a_person_begins_only_so_many_a_day(world: World) -> None:
    alice = Person(member("alice@northwind.example"))
    told = {"reply_to": "a@b.example", "page": "", "article": ""}
    for number in range(conversation.NEW_PER_DAY):
        conversation.start(alice, Message("Hi", f"n{number}"), situation={}, **told)  # type: ignore[arg-type]
    with pytest.raises(conversation.Refused):
        conversation.start(alice, Message("Hi", "more"), situation={}, **told)  # type: ignore[arg-type]


class Box(Handler):
    """Keeps what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Mail] = []

    def handle_message(self, message: Mail) -> None:
        self.mails.append(message)


@pytest.fixture
def box(world: World) -> Iterator[Box]:
    """A mail server that the portal knows."""
    box = Box()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    settings = replace(parts().settings, mail_url=f"smtp://127.0.0.1:{port}", mail_from="help@coordinoter.example")
    parts_module.install(world.app, replace(parts(), settings=settings))
    yield box
    controller.stop()


def later(minutes: int = 3) -> None:
    db.session.execute(update(Entry).values(at=clock.now() - timedelta(minutes=minutes)))
    db.session.commit()


def test_who_is_away_is_answered_by_mail_once(box: Box) -> None:
    at = begun()
    answered(at, "First.")
    assert answer_by_mail() == 0  # they may still be there
    answered(at, "Second.")
    later()
    assert [answer_by_mail(), answer_by_mail()] == [1, 0]
    (mail,) = box.mails
    assert mail["To"] == "alice@northwind.example"
    text = str(mail.get_payload(decode=True), "utf-8")  # type: ignore[arg-type]
    assert text.index("First.") < text.index("Second.") < text.index(f"/chat/{at}")


def test_who_has_read_it_gets_no_mail(box: Box) -> None:
    at = begun()
    answered(at)
    later()
    db.session.execute(update(Conversation).values(person_read=99))
    db.session.commit()
    assert answer_by_mail() == 0
    assert not box.mails


def test_without_a_mail_server_nothing_breaks(world: World) -> None:
    answered(begun())
    later()
    assert answer_by_mail() == 0


def test_hours_and_usual_answers_are_told(world: World) -> None:
    settings = replace(parts().settings, support_hours=Hours.read("Mon-Mon 00:00-00:01 UTC"))
    parts_module.install(world.app, replace(parts(), settings=settings))
    assert presence.opens_at() is not None
    assert presence.usual_answer() == ""
    answered(begun())
    assert presence.usual_answer() == "in a minute"
    db.session.execute(update(Conversation).values(started_at=clock.now() - timedelta(minutes=12)))
    db.session.commit()
    assert presence.usual_answer() == "in 12 minutes"

"""The notice by mail, through a real SMTP server: to the portal's address, with the receipt's address, once."""

from __future__ import annotations

import json
import smtplib
import socket
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message as Mail
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message

from portal import parts as parts_module
from portal.db import db
from portal.models import Receipt
from portal.parts import parts
from portal.workflows import carry_out, disconnect
from tests.world import World


class Box(Message):
    """Keeps what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Mail] = []

    def handle_message(self, message: Mail) -> None:
        self.mails.append(message)


@pytest.fixture
def post() -> Iterator[tuple[str, Box]]:
    box = Box()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield f"smtp://127.0.0.1:{port}", box
    controller.stop()


def with_mail(world: World, url: str) -> None:
    settings = replace(parts().settings, mail_url=url, mail_from="portal@coordinoter.example")
    parts_module.install(world.app, replace(parts(), settings=settings))


def end(world: World) -> str:
    connection = world.connection()
    disconnect.begin(connection.id, connection.member_id)
    world.work()
    body: dict[str, Any] = json.loads(db.session.get_one(Receipt, world.disconnection().id).body)
    step: dict[str, Any] = body["steps"][-1]
    assert step["outcome"] == "Done"
    return str(step["detail"])


def test_it_works(world: World, post: tuple[str, Box]) -> None:
    url, box = post
    world.connected()
    with_mail(world, url)
    assert "mailed" in end(world)
    (mail,) = box.mails
    assert mail["To"] == "alice@northwind.example"
    text = str(mail.get_payload())
    assert f"/disconnections/{world.disconnection().id}" in text
    assert "adele" not in text.lower()
    assert "adele" not in str(mail["Subject"]).lower()


def test_it_is_sent_once(world: World, post: tuple[str, Box]) -> None:
    url, box = post
    world.connected()
    with_mail(world, url)
    end(world)
    disconnection_id = world.disconnection().id
    db.session.rollback()
    carry_out.run(disconnection_id)
    assert len(box.mails) == 1


def test_without_settings_the_receipt_says_so(world: World) -> None:
    world.connected()
    assert "no mail set up" in end(world)


def test_a_dead_mail_server_does_not_hold_the_receipt_back(world: World) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"smtp://127.0.0.1:{closed.getsockname()[1]}"
        world.connected()
        with_mail(world, url)
        assert "no word that the notice by mail was taken" in end(world)


def test_a_rude_farewell_of_the_mail_server_says_nothing_about_the_mail(
    world: World, post: tuple[str, Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, box = post
    world.connected()
    with_mail(world, url)

    def rude(server: smtplib.SMTP, *_: object) -> None:
        server.close()
        raise smtplib.SMTPResponseException(421, b"Too long")

    monkeypatch.setattr(smtplib.SMTP, "__exit__", rude)
    assert "A notice was mailed to you." in end(world)
    assert len(box.mails) == 1


def test_a_port_that_is_none_does_not_either(world: World) -> None:
    world.connected()
    with_mail(world, "smtp://mail.example:twenty-five")
    assert "no word that the notice by mail was taken" in end(world)


@pytest.mark.parametrize(
    ("failed", "is_erased"), [("prove_nothing_remains", False), ("erase_copies", False), ("erase_tokens", True)]
)
def test_it_calls_erased_what_was_proven(world: World, post: tuple[str, Box], failed: str, is_erased: bool) -> None:
    """The proof makes up for what did not work before it."""
    url, box = post
    with_mail(world, url)
    world.connected()
    connection = world.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    step = next(each for each in begun.steps if each.name == failed)
    step.outcome = "Failed"
    db.session.commit()
    world.work()
    text = str(box.mails[0].get_payload())
    assert ("were erased" in text) == is_erased
    assert ("Not everything could be erased" in text) != is_erased

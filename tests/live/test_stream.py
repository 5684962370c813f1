"""GET /live: for whom, what it tells, and that it holds nothing while it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from datetime import timedelta

import pytest
from flask import Flask, current_app
from sqlalchemy import event as watch
from sqlalchemy import select, update

from portal import clock, live
from portal.db import db
from portal.live import ears
from portal.models import Conversation, Presence
from portal.routes.live import RENEW
from portal.workflows import presence, whereabouts
from tests.world import Visitor, World


@contextmanager
def streaming(visitor: Visitor, query: str = "", *, hears: bool = True, **headers: str) -> Iterator[Iterator[bytes]]:
    """The chunks of an open stream, read one at a time."""
    client = visitor.client._client
    answer = Context().run(client.get, f"/live{query}", headers=headers, buffered=False)
    assert answer.status_code == 200, answer.status
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-store"
    hub = current_app.extensions["live"]
    while hears and hub.position().endswith("-0"):
        time.sleep(0.01)  # the ear, a thread that began with the stream, says "look again" when it has its place
    try:
        yield answer.iter_encoded()
    finally:
        answer.close()


def until(chunks: Iterator[bytes], wanted: str, most: int = 20) -> str:
    """Read on until an event comes."""
    seen = ""
    for _ in range(most):
        seen += next(chunks).decode()
        if f"event: {wanted}\n" in seen:
            return seen
    raise AssertionError(f"no {wanted} in {seen}")


def here() -> list[str]:
    """The supporters who are here, as others see it now."""
    db.session.rollback()
    found = presence.here()
    db.session.rollback()
    return found


def test_it_works(alice: Visitor, world: World) -> None:
    page = alice.get("/integrations")
    place = page.find(id="live")
    assert place is not None
    assert str(place["hx-sse:connect"]).startswith("/live?since=")
    with streaming(alice) as chunks:
        until(chunks, live.LOOK_AGAIN)
        alice.connect("adele@contoso.example")
        until(chunks, "live-connections")
        world.work()
        page = alice.get("/integrations")
        alice.press("Disconnect from Microsoft")
        alice.press("Disconnect")
        world.work()
        until(chunks, f"live-disconnection-{world.disconnection().id}", most=60)


def test_strangers_have_none_and_pages_do_not_ask_for_it(anybody: Visitor) -> None:
    assert anybody.get("/help").find(id="live") is None
    assert anybody.client.get("/live").status_code == 401


def test_beyond_the_cap_the_answer_is_503_and_the_stream_frees_its_place(app: Flask, alice: Visitor) -> None:
    app.extensions["live"].limit = 1
    with streaming(alice):
        assert alice.client.get("/live").status_code == 503
    with streaming(alice):
        assert app.extensions["live"].count() == 1
    assert app.extensions["live"].count() == 0


def test_a_stream_that_waits_asks_the_database_nothing(
    app: Flask, alice: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.web.live.KEEP_ALIVE", 0.02)
    app.extensions["live"].listen = lambda hub: None
    statements: list[str] = []
    with streaming(alice, hears=False) as chunks:
        next(chunks)
        watch.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        for _ in range(10):
            next(chunks)
        assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        assert statements == []
    assert len(statements) == 2, "its end costs one look, whether a conversation of theirs is open"


def test_the_watcher_of_sqlite_reads_the_table_only_after_a_commit(app: Flask, alice: Visitor) -> None:
    assert ears.LOOK_EVERY <= 0.1
    with streaming(alice) as chunks:
        until(chunks, live.LOOK_AGAIN)
        live.tell(db.session(), live.SUPPORT, "live-desk")  # not for Alice
        db.session.commit()
        live.tell(db.session(), live.EVERYBODY, "live-news")
        db.session.commit()
        assert "live-desk" not in until(chunks, "live-news")


def test_support_sees_whether_a_person_is_here(world: World, alice: Visitor) -> None:
    alice.post("/chat/messages", text="It hangs.", page="/agenda", sent_as="first")
    at = db.session.scalars(select(Conversation.id)).one()
    db.session.rollback()
    sam, place = world.sign_in("sam@coordinoter.example"), f"/support/conversations/{at}"

    def seen() -> str:
        return sam.get(f"{place}/whereabouts", htmx=True).get_text(" ", strip=True)

    with streaming(sam) as desk:
        until(desk, live.LOOK_AGAIN)
        with streaming(alice) as chunks:
            next(chunks)
            alice.get("/integrations/outlook-calendar")
            alice.press_hidden("/chat/here")
            until(desk, f"live-person-{at}")
            assert seen() == "Alice is here, on the Outlook Calendar card."
        until(desk, f"live-person-{at}")
        assert seen() == "Alice left a moment ago ."
    assert "Alice left a moment ago." in sam.get(place).get_text()
    assert "support sees whether you are here" in alice.get("/chat").get_text()


def asked(alice: Visitor) -> str:
    """She wrote to support; the conversation's id."""
    alice.post("/chat/messages", text="It hangs.", page="/agenda", sent_as="first")
    return db.session.scalars(select(Conversation.id)).one()


def test_the_last_of_several_pages_counts(world: World, alice: Visitor) -> None:
    at, sam = asked(alice), world.sign_in("sam@coordinoter.example")
    with streaming(alice) as first:
        next(first)
        with streaming(alice) as second:
            next(second)
        assert "is here" in sam.get(f"/support/conversations/{at}").get_text()
    assert "left a moment ago" in sam.get(f"/support/conversations/{at}").get_text()


def test_a_stream_ends_with_its_sign_in_and_nobody_is_here_any_more(world: World, alice: Visitor) -> None:
    alice.post("/chat/messages", text="It hangs.", page="/agenda", sent_as="first")
    at, place = db.session.scalars(select(Conversation.id)).one(), "/support/conversations/"
    db.session.rollback()
    sam, elsewhere = world.sign_in("sam@coordinoter.example"), world.sign_in("alice@northwind.example")
    with streaming(elsewhere) as other:
        until(other, live.LOOK_AGAIN)
        with streaming(alice) as chunks:
            until(chunks, live.LOOK_AGAIN)
            alice.post("/sign-out")
            until(chunks, live.SIGNED_OUT)
            assert next(chunks, b"") == b""
        live.tell(db.session(), live.EVERYBODY, "live-news")
        db.session.commit()
        assert live.SIGNED_OUT not in until(other, "live-news")
        assert "Alice is here" in sam.get(f"{place}{at}").get_text(), "in her other browser"
    assert "Alice left a moment ago" in sam.get(f"{place}{at}").get_text()


def test_a_supporter_who_signed_out_is_not_here(world: World, anybody: Visitor) -> None:
    sam = world.sign_in("sam@coordinoter.example")
    with streaming(sam) as chunks:
        until(chunks, live.LOOK_AGAIN)
        assert here() == ["Sam"]
        sam.post("/sign-out")
        until(chunks, live.SIGNED_OUT)
        assert next(chunks, b"") == b""
        assert here() == []


def test_a_supporter_is_here_until_the_last_of_their_pages_is_closed(world: World) -> None:
    sam = world.sign_in("sam@coordinoter.example")
    with streaming(sam) as first:
        next(first)
        next(first)
        with streaming(sam) as second:
            next(second)
            next(second)
        assert here() == ["Sam"]
    assert here() == []


def test_an_open_stream_goes_on_saying_that_somebody_is_here(
    app: Flask, world: World, alice: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Now and then, however often the stream wakes: a killed process says it no more."""
    monkeypatch.setattr("portal.web.live.KEEP_ALIVE", 0.02)
    app.extensions["live"].listen = lambda hub: None
    alice.post("/chat/messages", text="It hangs.", page="/agenda", sent_as="first")
    sam = world.sign_in("sam@coordinoter.example")

    def both_are_here() -> bool:
        of_alice = whereabouts.is_here(db.session.scalars(select(Conversation)).one())
        return (here(), of_alice) == (["Sam"], True)

    with streaming(sam, hears=False) as desk, streaming(alice, hears=False) as chunks:
        for each in (desk, desk, chunks, chunks):
            next(each)
        assert both_are_here()
        long_ago = clock.now() - timedelta(minutes=2)
        db.session.execute(update(Presence).values(seen_at=long_ago))
        db.session.execute(update(Conversation).values(person_seen_at=long_ago))
        db.session.commit()
        for each in (desk, chunks):
            next(each)
        assert not both_are_here(), "renewed just now"
        now = clock.monotonic()
        monkeypatch.setattr(clock, "monotonic", lambda: now + RENEW + 1)
        for each in (desk, chunks):
            next(each)
        assert both_are_here()


def test_a_stream_that_comes_back_says_that_its_person_does(world: World, alice: Visitor) -> None:
    at, sam = asked(alice), world.sign_in("sam@coordinoter.example")
    with streaming(alice) as chunks:
        next(chunks)
    assert "left a moment ago" in sam.get(f"/support/conversations/{at}").get_text()
    with streaming(alice) as chunks:
        next(chunks)
        assert "is here" in sam.get(f"/support/conversations/{at}").get_text()


def test_a_stop_of_the_server_is_no_leave(app: Flask, world: World, alice: Visitor) -> None:
    alice.post("/chat/messages", text="It hangs.", page="/agenda", sent_as="first")
    with streaming(alice) as chunks:
        next(chunks)
        app.extensions["live"].end()
    db.session.rollback()
    assert db.session.scalars(select(Conversation.person_left_at)).one() is None


def test_a_desk_hears_of_the_person_whose_conversation_it_shows(world: World, alice: Visitor) -> None:
    alice.post("/chat/messages", text="It hangs.", page="/agenda", sent_as="first")
    sam, at = world.sign_in("sam@coordinoter.example"), db.session.scalars(select(Conversation.id)).one()
    page = sam.get(f"/support/conversations/{at}")
    place = page.find(id=f"live-{at}")
    assert place is not None
    address = str(place["hx-sse:connect"])
    assert address.endswith(f"&about={at}")
    with streaming(sam, address.removeprefix("/live")) as desk:
        alice.connect("adele@contoso.example")
        assert "live-connections" not in until(desk, live.ABOUT)
    mallory = world.sign_in("charlie@fabrikam.example")
    with streaming(mallory, f"?about={at}") as chunks:
        next(chunks)
        alice.post("/chat/messages", text="More", conversation=at)
        live.tell(db.session(), live.EVERYBODY, "live-news")
        db.session.commit()
        assert live.ABOUT not in until(chunks, "live-news")

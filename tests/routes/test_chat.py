"""Chat: a person's side of a conversation, over HTTP, with and without htmx."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from io import BytesIO

import pytest
from sqlalchemy import select, update

from portal import clock
from portal.db import db
from portal.models import Attachment, Conversation, Entry
from portal.parts import install, parts
from portal.workflows import conversation as workflow
from portal.workflows import forget, presence
from portal.workflows.picture import LARGEST
from tests.walker import Walker
from tests.world import HTMX, Visitor, World

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 50


@pytest.fixture
def walked(alice: Visitor) -> Visitor:
    """Alice, every page checked."""
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    return alice


def conversation() -> Conversation:
    db.session.rollback()
    return db.session.scalars(select(Conversation)).one()


def texts() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Entry.text).order_by(Entry.number)))


def say(visitor: Visitor, text: str, sent_as: str = "", at: str = "", **more: str) -> int:
    fields = {"conversation": at, "text": text, "sent_as": sent_as, "page": "/integrations", **more}
    return visitor.post("/chat/messages", **fields).status_code


def answer(world: World, text: str, at: str) -> Visitor:
    sam = world.sign_in("sam@coordinoter.example")
    sam.post(f"/support/conversations/{at}/messages", text=text, kind="message", seen="999")
    return sam


def test_it_works(world: World, walked: Visitor) -> None:
    walked.get("/chat")
    walked.press("Send", text="My calendar does **not** sync.")
    assert walked.soup.find("strong", string="not") is not None
    answer(world, "Please press *Reconnect*.", conversation().id)
    page = walked.get(f"/chat/{conversation().id}")
    assert "Sam" in page.get_text()
    assert page.find("em", string="Reconnect") is not None
    walked.get("/agenda")
    assert "1 unread answer" in walked.soup.get_text()


@pytest.mark.parametrize("htmx", [False, True])
def test_a_message_sent_twice_is_stored_once(walked: Visitor, htmx: bool) -> None:
    for _ in range(3):
        say(walked, "Hello", "name-1")
    at = conversation().id
    for _ in range(3):
        say(walked, "More", "name-2", at)
    assert texts() == ["Hello", "More"]


def test_what_is_said_stays_in_order(world: World, walked: Visitor) -> None:
    say(walked, "0", "first")
    at = conversation().id
    for number in range(1, 8):
        say(walked, str(number), f"n{number}", at)
    assert texts() == [str(number) for number in range(8)]
    page = walked.get(f"/chat/{at}/entries", htmx=True)
    assert [each.get_text(strip=True) for each in page.select(".entry-text")] == texts()


def test_html_is_never_interpreted_and_links_are_marked(walked: Visitor) -> None:
    say(
        walked,
        "<img src=x onerror=alert(1)> [x](javascript:alert(1)) see [here](https://evil.example/a) or [us](/help)",
    )
    page = walked.get("/chat")
    assert page.find("img", src="x") is None
    assert "<img src=x" in page.get_text()
    link = page.find("a", href="https://evil.example/a")
    assert link is not None
    assert "nofollow" in link["rel"]
    assert "(evil.example)" in page.get_text()
    assert not [each for each in page.find_all("a", href=True) if str(each["href"]).startswith("javascript")]


def test_strangers_see_nothing(world: World, walked: Visitor) -> None:
    say(walked, "Secret")
    at = conversation().id
    for other in (world.sign_in("bob@northwind.example"), world.sign_in("charlie@fabrikam.example"), world.visitor()):
        for path in (f"/chat/{at}", f"/chat/{at}/entries", f"/chat/{at}/export.json"):
            assert other.client.get(path, headers=HTMX).status_code == 404
        other.get("/help?page=/sign-in")
        for path in ("read", "typing", "delete"):
            assert other.post(f"/chat/{at}/{path}").status_code == 404
        assert say(other, "Hi", at=at) == 404
        assert "Secret" not in other.get("/chat").get_text()


def test_nothing_remains_for_the_next_person(world: World, walked: Visitor) -> None:
    say(walked, "Secret")
    walked.get("/chat")
    walked.press("Sign out")
    for path in ("/chat", "/help"):
        page = walked.get(path)
        assert "Secret" not in page.get_text()
        assert page.find(id="live") is None


def test_a_visitor_asks_from_the_sign_in_page_and_is_answered_there(world: World) -> None:
    visitor = world.visitor()
    visitor.client = Walker(visitor.client)  # type: ignore[assignment]
    visitor.get("/help?page=/sign-in")
    visitor.press("Send", text="I cannot sign in.", reply_to="visitor@example.com")
    at = conversation().id
    assert (conversation().reply_to, conversation().member_id) == ("visitor@example.com", None)
    assert visitor.get("/sign-in").find(id="live") is not None
    answer(world, "Try this.", at)
    assert "Try this." in visitor.get(f"/chat/{at}").get_text()
    assert say(visitor, "Thanks", at=at) == 303


def test_no_mail_is_promised_that_nobody_set_up(world: World, alice: Visitor) -> None:
    promised = "by email"
    assert promised not in alice.get("/chat").get_text()
    settings = replace(parts().settings, mail_url="smtp://127.0.0.1:25", mail_from="help@coordinoter.example")
    install(world.app, replace(parts(), settings=settings))
    assert alice.get("/chat").get_text().count(promised) == 2


@pytest.mark.parametrize("reply_to", ["", "nobody", "a@b", "a@b.example\nBcc: c@d.example"])
def test_a_visitor_needs_an_address(world: World, reply_to: str) -> None:
    visitor = world.visitor()
    visitor.get("/help?page=/sign-in")
    assert say(visitor, "Hello there", reply_to=reply_to, page="/sign-in") == 422
    assert "enter an email address" in visitor.soup.get_text()
    assert "Hello there" in visitor.soup.get_text()
    assert not texts()


def test_visitors_are_limited_more_strictly(world: World) -> None:
    visitor = world.visitor()
    visitor.get("/help?page=/sign-in")
    more = {"reply_to": "a@b.example", "page": "/sign-in"}
    codes = [say(visitor, "Hello", **more) for _ in range(7)]
    assert codes == [303] * 5 + [429] * 2
    answer = visitor.post("/chat/messages", htmx=True, text="Hello", place="panel", **more)
    assert answer.status_code == 429
    assert "HX-Retarget" not in answer.headers
    assert visitor.soup.find(id="fault-panel") is not None


def test_members_are_limited_by_the_minute(walked: Visitor) -> None:
    say(walked, "First")
    at = conversation().id
    codes = [say(walked, "More", at=at) for _ in range(workflow.PER_MINUTE)]
    assert codes[-2:] == [303, 422]
    assert "wait a minute" in walked.soup.get_text()


@pytest.mark.parametrize("text", ["", "  ", "x" * 4001])
def test_what_cannot_be_sent_is_said_and_kept(walked: Visitor, text: str) -> None:
    assert say(walked, text) == 422
    assert text.strip() in walked.soup.get_text()
    assert walked.post("/chat/messages", htmx=True, text=text).status_code == 422
    assert not texts()


def send_picture(visitor: Visitor, content: bytes, name: str = "a.png") -> int:
    data = {"csrf_token": visitor.csrf(), "image": (BytesIO(content), name), "text": ""}
    visitor.page = visitor.client.post("/chat/messages", data=data, content_type="multipart/form-data")
    return visitor.page.status_code


def test_a_picture_is_served_so_that_it_can_only_be_shown(world: World, walked: Visitor) -> None:
    assert send_picture(walked, PNG, "evil.html") == 303
    image_id = db.session.scalars(select(Attachment.id)).one()
    shown = walked.client.get(f"/chat/images/{image_id}")
    assert (shown.status_code, shown.content_type, shown.data) == (200, "image/png", PNG)
    assert shown.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "evil" not in shown.headers["Content-Disposition"]
    assert world.sign_in("bob@northwind.example").client.get(f"/chat/images/{image_id}").status_code == 404
    sam = world.sign_in("sam@coordinoter.example")
    assert sam.client.get(f"/support/images/{image_id}").status_code == 200
    assert walked.client.get(f"/support/images/{image_id}").status_code == 403


@pytest.mark.parametrize("content", [b"<svg onload=alert(1)>", b"GIF87", b"%PDF-1.7", PNG + b"0" * LARGEST])
def test_what_is_no_picture_or_too_large_is_refused(walked: Visitor, content: bytes) -> None:
    assert send_picture(walked, content) == 422
    assert not texts()


def test_sent_delivered_read(world: World, walked: Visitor) -> None:
    say(walked, "Hello")
    at = conversation().id
    sam = world.sign_in("sam@coordinoter.example")
    states = []
    for path, more in (("", {}), ("read", {"reached": "1"}), ("read", {})):
        if path:
            sam.post(f"/support/conversations/{at}/{path}", number="99", **more)
        states.append(walked.get(f"/chat/{at}/entries", htmx=True).select_one(".entry-state").get_text())  # type: ignore[union-attr]
    assert states == ["Sent", "Delivered", "Read"]
    answer(world, "Yes?", at)
    assert "1 unread" in walked.get("/chat/unread", htmx=True).get_text()
    walked.post(f"/chat/{at}/read", number="2")
    assert "unread" not in walked.get("/chat/unread", htmx=True).get_text()


def test_the_situation_travels_with_it(world: World) -> None:
    alice = world.connected()
    alice.get("/nothing-here", status=404)
    reference = alice.soup.find(id="error-reference")
    assert reference is not None
    say(alice, "Help", reference=str(reference["value"]))
    assert conversation().situation == {
        "Page": "/integrations",
        "Error reference": reference["value"],
        "Connection 1": "Connected",
    }


def test_who_is_here(world: World, walked: Visitor) -> None:
    assert "Nobody is at the desk" in walked.get("/chat/presence", htmx=True).get_text()
    sam = world.sign_in("sam@coordinoter.example")
    from tests.live.test_stream import streaming, until

    with streaming(sam) as chunks:
        until(chunks, "live-all")
        assert "Sam is here" in walked.get("/chat/presence", htmx=True).get_text()
    assert "Nobody" in walked.get("/chat/presence", htmx=True).get_text()
    db.session.rollback()
    assert presence.here() == []


def test_export_and_delete(world: World, walked: Visitor) -> None:
    send_picture(walked, PNG)
    at = conversation().id
    sam = answer(world, "An answer", at)
    sam.post(f"/support/conversations/{at}/messages", text="A note", kind="note")
    told = json.loads(walked.client.get(f"/chat/{at}/export.json").text)
    assert [each["text"] for each in told["entries"]] == ["", "An answer"]
    assert told["entries"][0]["image"].startswith("data:image/png;base64,")
    walked.get(f"/chat/{at}")
    walked.press("Delete it")
    db.session.rollback()
    for table in (Conversation, Entry, Attachment):
        assert db.session.scalars(select(table)).first() is None


def test_what_nobody_touched_for_long_is_forgotten(walked: Visitor) -> None:
    say(walked, "Old")
    walked.post("/chat/messages", text="New", page="/")
    db.session.execute(
        update(Conversation)
        .where(Conversation.page == "/integrations")
        .values(last_at=clock.now() - timedelta(days=91))
    )
    db.session.commit()
    assert forget.forget_old() == 1
    assert texts() == ["New"]

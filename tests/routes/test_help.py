"""Help: the icon on every page, the panel, the faces, and the message form; with and without htmx."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Answer, HelpMessage, Member
from tests.walker import Walker
from tests.world import HTMX, Visitor, World

GUIDE = "/help/disconnect-outlook-calendar"


@pytest.fixture
def reader(world: World) -> Visitor:
    """Somebody who reads help without signing in, every page checked."""
    reader = world.visitor()
    reader.client = Walker(reader.client)  # type: ignore[assignment]
    return reader


def answers() -> list[tuple[str, str]]:
    db.session.rollback()
    return [(each.article, each.face) for each in db.session.scalars(select(Answer))]


def messages() -> list[HelpMessage]:
    db.session.rollback()
    return list(db.session.scalars(select(HelpMessage)))


def send(reader: Visitor, *, htmx: bool = False, **fields: str) -> int:
    """Fill in the form of the help centre and send it; the status that came."""
    reader.get("/help")
    return reader.post("/help/messages", htmx=htmx, **fields).status_code


def press_face(reader: Visitor, face: str, *, htmx: bool = False) -> None:
    reader.get(GUIDE)
    reader.post(f"{GUIDE}/answer", face=face, place="page", page=GUIDE, htmx=htmx)


def test_it_works(reader: Visitor) -> None:
    centre = reader.get("/help")
    links = {str(link["href"]) for link in centre.select("a.help-link")}
    assert len(links) >= 6
    for link in links:
        assert "Did this answer your question?" in reader.get(link).get_text()


@pytest.mark.parametrize("path", ["/sign-in", "/help", GUIDE, "/nothing-here"])
def test_the_help_icon_is_on_every_page_of_a_visitor(reader: Visitor, path: str) -> None:
    page = reader.get(path, status=404 if path == "/nothing-here" else 200)
    button = page.find("button", attrs={"aria-label": "Help"})
    assert button is not None
    form = button.find_parent("form")
    assert form is not None
    assert (form["method"], form["action"]) == ("get", "/help")
    assert form.find("input", {"name": "page", "value": path}) is not None


def test_without_javascript_the_icon_leads_to_the_centre_with_what_suits_the_page(alice: Visitor) -> None:
    alice.get("/agenda")
    page = alice.press("Help").get_text(" ", strip=True)
    assert "For the page you were on" in page
    assert page.index("What we can see and keep") < page.index("All articles")


def test_the_panel_is_for_the_page_and_opens_articles_in_itself(reader: Visitor) -> None:
    panel = reader.get("/help/panel?page=/integrations", htmx=True)
    assert panel.dialog is not None
    link = panel.find("a", href=GUIDE)
    assert link is not None
    inside = reader.get(str(link["hx-get"]), htmx=True)
    assert inside.find("section", id="answer-panel") is not None
    assert "What Microsoft does not let us do" in inside.get_text()


def test_the_panel_alone_is_no_page(reader: Visitor) -> None:
    assert reader.client.get("/help/panel?page=/agenda").location == "/help?page=/agenda"


def test_an_article_that_does_not_exist_is_404(reader: Visitor) -> None:
    reader.get("/help/nothing", status=404)
    reader.get("/help/panel?article=nothing", status=404, htmx=True)


@pytest.mark.parametrize("htmx", [False, True])
def test_an_answer_is_stored_once_and_can_be_changed(reader: Visitor, htmx: bool) -> None:
    for face in ("happy", "neutral", "happy", "unhappy"):
        press_face(reader, face, htmx=htmx)
        assert answers() == [("disconnect-outlook-calendar", face)]
    pressed = reader.get(GUIDE).select("[aria-pressed=true]")
    assert [button["value"] for button in pressed] == ["unhappy"]


def test_every_reader_has_an_answer_of_their_own(world: World, alice: Visitor) -> None:
    for each in (world.visitor(), world.visitor(), alice):
        press_face(each, "happy")
    assert len(answers()) == 3
    press_face(world.sign_in("alice@northwind.example"), "neutral")  # the same member at another browser
    assert sorted(face for _, face in answers()) == ["happy", "happy", "neutral"]


def test_the_unhappy_face_leads_on_to_the_message_form(reader: Visitor) -> None:
    press_face(reader, "unhappy", htmx=True)
    assert reader.soup.find("form", action="/help/messages") is not None
    press_face(reader, "happy", htmx=True)
    assert reader.soup.find("form", action="/help/messages") is None


@pytest.mark.parametrize("face", ["", "angry", "<b>"])
def test_other_faces_are_refused(reader: Visitor, face: str) -> None:
    press_face(reader, face)
    assert reader.page is not None
    assert reader.page.status_code == 400
    assert not answers()


def test_a_visitor_leaves_a_message(reader: Visitor) -> None:
    reader.get("/help?page=/sign-in")
    reader.press("Send message", text="  I cannot sign in.  ", reply_to="visitor@example.com")
    assert "Your message has reached us" in reader.soup.get_text()
    (message,) = messages()
    assert (message.text, message.reply_to, message.page) == ("I cannot sign in.", "visitor@example.com", "/sign-in")
    assert message.member_id is None


def test_a_member_leaves_one_from_the_panel_with_the_page_and_the_article(alice: Visitor) -> None:
    panel = alice.get("/help/panel?page=/integrations", htmx=True)
    assert panel.find("input", {"name": "reply_to", "value": "alice@northwind.example"}) is not None
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    more = {"place": "panel", "page": "/integrations", "article": "connect-outlook-calendar"}
    answer = alice.post("/help/messages", htmx=True, text="Hello", reply_to="alice@northwind.example", **more)
    assert answer.status_code == 201
    assert alice.soup.find(id="message-panel") is not None
    (message,) = messages()
    assert (message.page, message.article) == ("/integrations", "connect-outlook-calendar")
    member = db.session.get(Member, message.member_id or "")
    assert member is not None
    assert member.email == "alice@northwind.example"


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("text", "reply_to", "fault"),
    [
        ("", "a@b.example", "Please write what you need"),
        ("x" * 2001, "a@b.example", "within 2000 characters"),
        ("Hello", "", "enter an email address"),
        ("Hello", "nobody", "enter an email address"),
        ("Hello", "a@b", "enter an email address"),
        ("Hello", "a@b.example\nBcc: c@d.example", "enter an email address"),
    ],
)
def test_what_is_missing_is_said_and_nothing_typed_is_lost(
    reader: Visitor, text: str, reply_to: str, fault: str, htmx: bool
) -> None:
    assert send(reader, htmx=htmx, text=text, reply_to=reply_to, page="/agenda") == 422
    assert fault in reader.soup.get_text()
    field = reader.soup.find("textarea")
    assert field is not None
    assert field.get_text() == text
    assert not messages()


def test_a_message_is_text_and_nothing_else(world: World, reader: Visitor) -> None:
    send(reader, text="<script>alert(1)</script>", reply_to="a@b.example", page="https://evil.example")
    assert messages()[0].page == ""
    db.session.rollback()
    sam = world.sign_in("sam@coordinoter.example")
    page = sam.get("/support")
    assert "<script>alert(1)</script>" in page.get_text()
    assert page.find("script", string="alert(1)") is None


def test_stored_messages_are_limited_corrections_are_not(reader: Visitor) -> None:
    for _ in range(8):
        assert send(reader, text="", reply_to="") == 422
    codes = [send(reader, text="Hello", reply_to="a@b.example") for _ in range(7)]
    assert codes == [303] * 5 + [429] * 2
    assert len(messages()) == 5


def test_writing_needs_a_token(reader: Visitor) -> None:
    for path in (f"{GUIDE}/answer", "/help/messages"):
        assert reader.client.post(path, data={"face": "happy"}).status_code == 400
        assert reader.client.post(path, data={"face": "happy"}, headers=HTMX).status_code == 400

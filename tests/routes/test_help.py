"""Help: the icon on every page, the panel, the faces, and the message form; with and without htmx."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Answer, ArticleView, Conversation
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


def conversations() -> list[Conversation]:
    db.session.rollback()
    return list(db.session.scalars(select(Conversation)))


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
    assert page.index("For the page you were on") < page.index("All articles")


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


def test_the_happy_face_is_thanked_and_the_neutral_one_may_say_why(world: World, reader: Visitor) -> None:
    press_face(reader, "happy", htmx=True)
    assert "we are glad" in reader.soup.get_text()
    press_face(reader, "neutral", htmx=True)
    reader.press("Tell the authors", htmx=True, reason="The picture is old", face="neutral")
    assert "the authors will read it" in reader.soup.get_text()
    assert db.session.scalars(select(Answer.reason)).one() == "The picture is old"
    db.session.rollback()
    page = world.sign_in("sam@coordinoter.example").get("/support/articles")
    assert "The picture is old" in page.get_text()


def test_the_unhappy_face_starts_a_conversation_that_carries_the_article(alice: Visitor) -> None:
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    press_face(alice, "unhappy", htmx=True)
    assert alice.soup.find("form", action="/chat/messages") is not None
    alice.press("Send", htmx=True, text="It does not say where the button is.", sent_as="one")
    (conversation,) = conversations()
    assert conversation.article == "disconnect-outlook-calendar"
    assert "does not say where" in alice.soup.get_text()


def test_without_htmx_the_unhappy_face_leads_to_the_page_of_conversations(reader: Visitor) -> None:
    reader.get(GUIDE)
    answer = reader.post(f"{GUIDE}/answer", face="unhappy", page="/agenda")
    assert answer.location == "/chat?article=disconnect-outlook-calendar&page=/agenda"


@pytest.mark.parametrize("face", ["", "angry", "<b>"])
def test_other_faces_are_refused(reader: Visitor, face: str) -> None:
    press_face(reader, face)
    assert reader.page is not None
    assert reader.page.status_code == 400
    assert not answers()


def test_a_view_is_counted_by_a_browser_that_shows_the_article(reader: Visitor) -> None:
    reader.get(GUIDE)
    assert db.session.scalars(select(ArticleView)).first() is None
    db.session.rollback()
    for _ in range(2):
        reader.post(f"{GUIDE}/seen")
    assert db.session.scalars(select(ArticleView.views)).one() == 2


def test_a_visitor_asks_from_the_sign_in_page_only(reader: Visitor) -> None:
    panel = reader.get("/help/panel?page=/sign-in&view=chat", htmx=True)
    assert panel.find("input", {"name": "reply_to"}) is not None
    for page in ("/help", "/", ""):
        panel = reader.get(f"/help/panel?page={page}&view=chat", htmx=True)
        assert panel.find("form", action="/chat/messages") is None
        assert "please sign in" in panel.get_text()
        more = {"text": "Hello", "reply_to": "a@b.example", "page": page}
        assert reader.post("/chat/messages", **more).status_code == 422
    assert not conversations()


def test_search_finds_the_words_of_articles_and_what_is_not_finished(both: World) -> None:
    reader = both.visitor()
    reader.client = Walker(reader.client)  # type: ignore[assignment]
    for words in ("revoke permission", "enterprise applications", "disconn", "DISCONNECTING?"):
        found = reader.get(f"/help/search?q={words}", htmx=True)
        assert found.find("a", href=GUIDE) is not None, words
    assert "0 articles" in reader.get("/help/search?q=xylophone", htmx=True).get_text().replace(
        "no articles", "0 articles"
    )
    assert "No article has" in reader.get("/help?q=xylophone").get_text()
    assert reader.get("/help?q=revoke").find(id="found-title") is not None
    for odd in ('"', "' OR 1=1 --", "a AND NOT", "*", "():&|!"):
        reader.get("/help?q=" + odd.replace("&", "%26").replace("#", "%23"))


def test_an_article_tells_its_contents_its_date_and_its_relatives(reader: Visitor) -> None:
    page = reader.get(GUIDE)
    for link in page.select("nav.contents a"):
        assert page.find(id=str(link["href"])[1:]) is not None
    assert "Last changed" in page.get_text()
    assert page.find(id="related-title") is not None


def test_the_panel_offers_three_articles_at_most_those_about_the_state_first(world: World, reader: Visitor) -> None:
    assert len(reader.get("/help/panel?page=/integrations", htmx=True).select("#help-found a")) <= 3


def test_writing_needs_a_token(reader: Visitor) -> None:
    for path in (f"{GUIDE}/answer", f"{GUIDE}/seen", "/chat/messages"):
        assert reader.client.post(path, data={"face": "happy"}).status_code == 400
        assert reader.client.post(path, data={"face": "happy"}, headers=HTMX).status_code == 400


def test_a_visitor_is_offered_three_articles_in_the_help_centre(anybody: Visitor) -> None:
    assert len(anybody.get("/help/panel?page=/help", htmx=True).select("#help-found a.help-link")) == 3

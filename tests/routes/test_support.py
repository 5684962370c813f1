"""Support's desk, over HTTP: for Sam and nobody else; the queue, answers, notes, and acts that the person can see."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event as watch
from sqlalchemy import select, update

from portal import clock
from portal.db import db
from portal.models import Activity, Conversation, Disconnection, Entry, Member
from portal.models.entry import EVENT
from portal.workflows import carry_out
from tests.walker import Walker
from tests.world import HTMX, Visitor, World

ALICE, SAM = "alice@northwind.example", "sam@coordinoter.example"


@pytest.fixture
def alice(world: World) -> Visitor:
    """Alice, connected, waiting for an answer."""
    alice = world.connected()
    alice.post("/chat/messages", text="It hangs.", page="/integrations", sent_as="first")
    return alice


@pytest.fixture
def sam(world: World, alice: Visitor) -> Visitor:
    """Sam at the desk, every page checked."""
    sam = world.sign_in(SAM)
    sam.client = Walker(sam.client)  # type: ignore[assignment]
    return sam


def at() -> str:
    db.session.rollback()
    found = db.session.scalars(select(Conversation.id)).one()
    db.session.rollback()
    return f"/support/conversations/{found}"


def events() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Entry.text).where(Entry.kind == EVENT).order_by(Entry.number)))


def colleague(world: World) -> Visitor:
    """Max, who gives support as well."""
    sam = db.session.scalars(select(Member).where(Member.email == SAM)).one()
    more = {"business_id": sam.business_id, "password_hash": sam.password_hash}
    db.session.add(Member(email="max@coordinoter.example", name="Max Moor", role="support", **more))
    db.session.commit()
    return world.sign_in("max@coordinoter.example")


def test_it_works(sam: Visitor, alice: Visitor) -> None:
    page = sam.get("/support").get_text(" ", strip=True)
    assert "Waiting (1)" in page
    assert "Alice Ansel, Northwind Traders" in page
    page = sam.get(at()).get_text(" ", strip=True)
    assert "It hangs." in page
    assert "Connected" in page
    sam.press("Send the answer", text="Let me look.")
    assert "Let me look." in sam.get(at()).get_text()
    assert "Nobody is waiting" in sam.get("/support").get_text()
    assert "Let me look." in alice.get("/chat").get_text()


def test_what_stands_beside_it_names_no_mailbox_and_no_event(sam: Visitor) -> None:
    page = sam.get(at()).get_text()
    assert "adele@contoso.example" not in page
    assert "Contoso" not in page


@pytest.mark.parametrize("which", ["waiting", "mine", "all", "closed"])
def test_queues(sam: Visitor, which: str) -> None:
    def shown() -> bool:
        return "Alice Ansel" in sam.get(f"/support?queue={which}", htmx=True).get_text()

    assert shown() is (which in ("waiting", "all"))
    sam.get(at())
    sam.post(f"{at()}/messages", text="Hello", kind="message", seen="9")
    assert shown() is (which in ("mine", "all"))
    sam.post(f"{at()}/close")
    assert shown() is (which in ("closed", "all"))


def test_a_row_shows_what_was_said_last_and_what_is_unread(world: World, sam: Visitor, alice: Visitor) -> None:
    def row() -> str:
        found = sam.get("/support?queue=all").select_one("#queue a.help-link")
        assert found is not None
        return found.get_text(" ", strip=True)

    here = at()
    alice.post("/chat/messages", text="**Still** hangs,\n\n- and\n- hangs.", conversation=here.rsplit("/", 1)[1])
    assert "2 new Still hangs, and hangs. Waits since" in row()
    assert "from Manage Integrations" in row()
    sam.get(here)
    sam.post(f"{here}/read", number="1")
    assert "1 new" in row()
    sam.get(here)
    sam.post(f"{here}/messages", text="Looks like a proxy.", kind="note")
    assert "Still hangs" in row(), "a note among supporters is no message"
    sam.get(here)
    sam.post(f"{here}/messages", text="Let me <b>look</b>.", kind="message", seen="9")
    assert "Sam: Let me <b>look</b>." in row()
    assert "new" not in row()


def test_two_conversations_of_one_person_are_told_apart(sam: Visitor, alice: Visitor) -> None:
    first = at()
    db.session.execute(update(Conversation).values(started_at=clock.now() - timedelta(days=2)))
    db.session.commit()
    alice.post("/chat/messages", text="And one more thing.", page="/agenda", sent_as="second")
    rows = [each.get_text(" ", strip=True) for each in sam.get("/support").select("#queue a.help-link")]
    assert len(rows) == 2
    begun = [row.partition("begun ")[2].partition(" · ")[0] for row in rows]
    assert begun[0] != begun[1]
    assert ["It hangs." in row for row in rows] == [True, False]
    assert [row.rpartition(" from ")[2] for row in rows] == ["Manage Integrations", "Agenda"]
    sam.get(first)
    link = sam.soup.select_one("#others-title ~ ul a")
    assert link is not None
    assert "And one more thing." in link.get_text()
    assert str(link["href"]) != first


def test_a_queue_asks_no_more_the_longer_it_is(world: World, sam: Visitor, alice: Visitor) -> None:
    def statements() -> int:
        seen: list[str] = []
        watch.listen(db.engine, "before_cursor_execute", count := lambda *args: seen.append(args[2]))
        sam.get("/support?queue=all")
        watch.remove(db.engine, "before_cursor_execute", count)
        return len(seen)

    before = statements()
    for number in range(4):
        alice.post("/chat/messages", text=f"No. {number}", page="/agenda", sent_as=f"n{number}")
    assert statements() == before


@pytest.mark.parametrize(("words", "found"), [("hangs", 1), ("ANSEL", 1), ("northwind.ex", 1), ("100%", 0), ("_", 0)])
def test_search(sam: Visitor, words: str, found: int) -> None:
    page = sam.get("/support?q=" + words.replace("%", "%25"))
    assert len(page.select("#queue a.help-link")) == found


def test_a_note_is_for_supporters_only_and_moves_nothing(sam: Visitor, alice: Visitor) -> None:
    sam.get(at())
    sam.post(f"{at()}/messages", text="Looks like a proxy.", kind="note")
    assert "Looks like a proxy." in sam.get(at()).get_text()
    assert "Looks like a proxy." not in alice.get("/chat").get_text()
    assert "Waiting (1)" in sam.get("/support").get_text()


def test_closing_and_opening_again(sam: Visitor, alice: Visitor) -> None:
    sam.get(at())
    sam.press("Close the conversation")
    sam.post(f"{at()}/close")
    assert "is closed" in alice.get("/chat").get_text()
    sam.get(at())
    sam.press("Open again")
    assert events() == ["Sam Sorel closed this conversation.", "Sam Sorel opened this conversation again."]
    sam.post(f"{at()}/close")
    alice.post("/chat/messages", text="Still hangs.", conversation=at().rsplit("/", 1)[1])
    assert "Waiting (1)" in sam.get("/support").get_text()


@pytest.mark.parametrize("htmx", [False, True])
def test_two_supporters_do_not_answer_over_each_other(world: World, sam: Visitor, htmx: bool) -> None:
    other = colleague(world)
    for each in (sam, other):
        each.get(at())
    seen = str(other.soup.find("input", {"name": "seen"})["value"])  # type: ignore[index]
    sam.post(f"{at()}/messages", text="Sam's answer", kind="message", seen=seen)
    assert other.post(f"{at()}/messages", text="Max's answer", kind="message", seen=seen, htmx=htmx).status_code == 422
    assert "Sam Sorel answered meanwhile" in other.soup.get_text()
    if not htmx:
        assert "Max's answer" in other.soup.get_text()
    assert other.post(f"{at()}/messages", text="Max's answer", kind="message", seen="2").status_code == 303


def test_giving_it_to_somebody(world: World, sam: Visitor) -> None:
    colleague(world)
    sam.get(at())
    chosen = db.session.scalars(select(Member.id).where(Member.name == "Max Moor")).one()
    sam.post(f"{at()}/assign", supporter=chosen, htmx=True)
    assert "Max Moor has it" in sam.get("/support").get_text()
    owner = db.session.scalars(select(Member.id).where(Member.email == ALICE)).one()
    sam.post(f"{at()}/assign", supporter=owner)
    assert "has it" not in sam.get("/support").get_text()


def test_a_canned_answer_fills_the_field(sam: Visitor) -> None:
    sam.get(at())
    link = sam.soup.find("a", {"data-canned": True})
    assert link is not None
    page = sam.get(str(link["href"]))
    assert page.textarea is not None
    assert page.textarea.get_text().strip() == str(link["data-canned"]).strip()


def test_disconnecting_for_a_person_needs_a_reason_and_they_can_read_it(
    world: World, sam: Visitor, alice: Visitor
) -> None:
    sam.get(at())
    sam.press("Start disconnecting", reason="")
    assert "give a reason" in sam.soup.get_text()
    sam.press("Start disconnecting", reason="Lost phone")
    world.work()
    told = "Sam Sorel started disconnecting Outlook Calendar for you. Reason: Lost phone"
    assert told in alice.get("/chat").get_text()
    assert "Lost phone" in alice.get(f"/disconnections/{world.disconnection().id}").get_text()
    assert db.session.scalars(select(Activity).where(Activity.detail == "Lost phone")).first() is not None
    assert "Disconnection started (Lost phone)" in sam.get(at()).get_text()


def test_trying_a_step_again_while_it_waits(world: World, sam: Visitor, alice: Visitor) -> None:
    world.microsoft.breaks("status", "subscriptions", status=503, times=None)
    alice.get("/integrations/outlook-calendar")
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    row_id = world.disconnection().id
    db.session.rollback()
    carry_out.attempt("end_notifications", row_id)
    page = sam.get(at())
    assert "Microsoft is not answering." in page.get_text()
    assert sam.post(f"{at()}/retry", disconnection=row_id, step="end_notifications", reason="  ").status_code == 422
    assert "Please give a reason" in sam.soup.get_text()
    sam.get(at())
    sam.press("Try again now", reason="The network is mended")
    assert "Support tried a step again (The network is mended)" in sam.get(at()).get_text()
    assert "tries the step “End notifications” again" in alice.get("/chat").get_text()
    world.microsoft.mend()
    world.work()
    page = sam.get(at())
    assert "Our tokens were erased on" in page.get_text()
    answer = sam.post(f"{at()}/retry", disconnection=row_id, step="end_notifications", reason="Once more")
    assert answer.status_code == 422
    assert "Our tokens were erased on" in sam.soup.get_text()


def test_a_step_that_was_given_up_is_tried_again_and_the_person_can_read_why(
    world: World, sam: Visitor, alice: Visitor
) -> None:
    world.microsoft.breaks("status", "subscriptions", status=403, times=None)
    world.microsoft.breaks("status", "token", status=503, times=None)
    alice.get("/integrations/outlook-calendar")
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    row_id = world.disconnection().id
    db.session.rollback()
    for name in ("end_notifications", "remove_our_meetings", "withdraw_access", "try_the_old_token"):
        carry_out.attempt(name, row_id)
    sam.get(at())
    assert [option["value"] for option in sam.soup.select(f"#step-{row_id} option")] == [
        "try_the_old_token",
        "end_notifications",
        "withdraw_access",
    ]
    assert "Microsoft refused" in sam.soup.get_text()
    sam.press("Try again now", step="end_notifications", reason="Their admin lets us in again", htmx=True)
    assert "Asked for again at" in sam.soup.get_text()
    assert "Their admin lets us in again" in alice.get(f"/disconnections/{row_id}").get_text()
    world.microsoft.mend()
    world.work()
    receipt = alice.get(f"/disconnections/{row_id}")
    assert "Their admin lets us in again" in receipt.get_text()
    assert "1 subscription deleted at Microsoft." in receipt.get_text()
    yours = receipt.select_one("#voice-yours")
    assert yours is not None
    assert "We cannot try this again" not in yours.get_text(), "nothing went wrong there: it is hers to do"


def test_nothing_is_done_to_others(world: World, sam: Visitor) -> None:
    charlie = world.sign_in("charlie@fabrikam.example")
    charlie.connect("megan@outlook.example")
    db.session.rollback()
    theirs = world.visitor()
    assert theirs is not None
    from portal.models import Connection

    foreign = db.session.scalars(
        select(Connection.id).join(Member, Member.id == Connection.member_id).where(Member.email.like("charlie%"))
    ).one()
    assert sam.post(f"{at()}/disconnect", connection=foreign, reason="Why not").status_code == 422
    assert db.session.scalars(select(Disconnection)).first() is None


@pytest.mark.parametrize("email", [ALICE, "dana@northwind.example", "charlie@fabrikam.example"])
def test_nobody_else_gets_in(world: World, sam: Visitor, email: str) -> None:
    place = at()
    other = world.sign_in(email)
    for path in ("/support", "/support/articles", place, f"{place}/entries", f"{place}/context"):
        assert other.client.get(path, headers=HTMX).status_code == 403
    for verb in ("messages", "assign", "close", "reopen", "read", "typing", "retry", "disconnect"):
        assert other.post(f"{place}/{verb}", text="x", reason="x").status_code == 403


def test_what_does_not_exist_is_404(sam: Visitor) -> None:
    sam.get("/support/conversations/nothing", status=404)
    assert sam.post("/support/conversations/nothing/close").status_code == 404
    sam.get("/support/images/nothing", status=404)

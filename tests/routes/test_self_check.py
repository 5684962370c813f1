"""Check my connection: step by step, in plain words, sent to support without a secret."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import Connection, Conversation, Entry, Executor, SelfCheck
from portal.workflows import disconnect, erase, self_check
from tests.walker import Walker
from tests.world import Visitor, World


@pytest.fixture
def alice(world: World) -> Visitor:
    """Alice, connected, with an engine that has just shown a sign of life."""
    alice = world.connected()
    alive()
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    return alice


def alive() -> None:
    db.session.merge(Executor(id="here:1:1", seen_at=clock.now()))
    db.session.commit()


def results() -> dict[str, str]:
    db.session.rollback()
    check = db.session.scalars(select(SelfCheck).order_by(SelfCheck.at.desc())).first()
    found = {each["title"]: each["result"] for each in check.findings} if check else {}
    db.session.rollback()
    return found


def run(world: World, alice: Visitor) -> str:
    alice.get(f"/self-check/{world.connection().id}")
    alice.press("Check again" if results() else "Check now")
    return alice.soup.get_text(" ", strip=True)


def test_it_works(world: World, alice: Visitor) -> None:
    said = run(world, alice)
    assert "All is well" in said
    assert set(results().values()) == {"good"}
    assert len(results()) == 8


def test_htmx_shows_one_step_after_the_other(world: World, alice: Visitor) -> None:
    at = f"/self-check/{world.connection().id}"
    db.session.rollback()
    seen = []
    alice.post(at, htmx=True)
    while alice.soup.find("form", action=f"{at}/next"):
        seen.append(len(alice.soup.select("li.is-good")))
        alice.post(f"{at}/next", htmx=True)
    assert seen == list(range(8))
    assert "All is well" in alice.soup.get_text()


def test_microsoft_is_away(world: World, alice: Visitor) -> None:
    world.microsoft.breaks("drop", "all", times=None)
    said = run(world, alice)
    assert "Microsoft is not answering." in said
    assert "Wait a few minutes" in said
    assert alice.soup.find("a", href="/help/microsoft-is-not-answering") is not None
    assert results()["Your calendars are there"] == "unknown"
    assert results()["Our own engine runs"] == "good"


def test_the_permission_was_withdrawn(world: World, alice: Visitor) -> None:
    world.microsoft.desk("POST", "accounts/adele@contoso.example/withdraw", tenant_wide=False)
    said = run(world, alice)
    assert "can be mended by you" in said
    assert "Reconnect" in said
    assert world.connection().needs_attention()


def test_the_engine_stands_still(world: World, alice: Visitor) -> None:
    db.session.query(Executor).delete()
    db.session.commit()
    said = run(world, alice)
    assert "does not run at the moment" in said
    assert "mended by us" in said


@pytest.mark.parametrize("htmx", [False, True])
def test_the_result_goes_to_support_once_and_holds_no_secret(world: World, alice: Visitor, htmx: bool) -> None:
    run(world, alice)
    for _ in range(2):
        alice.post(f"/self-check/{world.connection().id}/send", htmx=htmx, page="/integrations")
    (text,) = db.session.scalars(select(Entry.text)).all()
    assert db.session.scalars(select(Conversation.page)).one() == "/integrations"
    assert "- Microsoft can be reached: fine" in text
    assert "contoso" not in text
    db.session.rollback()
    sam = world.sign_in("sam@coordinoter.example")
    sam.get("/support")
    link = sam.soup.select_one("#queue a.help-link")
    assert link is not None
    assert "Last self-check" in sam.get(str(link["href"])).get_text()


def sever(world: World) -> str:
    """The connection's id; it is gone."""
    connection = world.connection()
    connection_id = connection.id
    disconnect.begin(connection_id, connection.member_id)
    db.session.rollback()
    world.work()
    return connection_id


def test_it_goes_with_its_connection_and_what_support_was_sent_stays(both: World) -> None:
    alice = both.connected()
    run(both, alice)
    page = f"/self-check/{both.connection().id}"
    alice.post(f"{page}/send", page=page)
    alice.post("/chat/here", page=page)
    (conversation,) = db.session.scalars(select(Conversation)).all()
    kept = (conversation.page, conversation.person_page, conversation.situation["Page"])
    assert kept == ("/self-check", "/self-check", "/self-check"), "a conversation is kept, and names no connection"
    db.session.rollback()
    connection_id = sever(both)
    assert db.session.scalars(select(SelfCheck.id)).all() == []
    (text,) = db.session.scalars(select(Entry.text)).all()
    assert text.startswith("I checked my connection:")
    assert connection_id not in text
    db.session.rollback()
    answer = alice.client.get(f"/self-check/{connection_id}")
    assert answer.headers["Location"] == f"/disconnections/{both.disconnection().id}"
    both.sign_in("bob@northwind.example").get(f"/self-check/{connection_id}", status=404)


def test_one_whose_connection_goes_away_meanwhile_ends_calmly(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two steps of it, and in the middle of one."""
    alice = both.connected()
    member_id, connection_id = both.connection().member_id, both.connection().id
    check = self_check.start(member_id, connection_id)
    assert check is not None
    check_id = check.id
    assert self_check.step(check_id)
    look = self_check.STEPS[1]

    def meanwhile(at: self_check.Look) -> self_check.Finding:
        """A step"""
        sever(both)
        return look(at)

    monkeypatch.setattr(self_check, "STEPS", (self_check.STEPS[0], meanwhile, *self_check.STEPS[2:]))
    assert self_check.step(check_id) is False, "what was found is dropped"
    assert self_check.step(check_id) is False
    assert self_check.start(member_id, connection_id) is None
    assert erase.remains(connection_id) == []
    answer = alice.post(f"/self-check/{connection_id}/next", htmx=True)
    assert answer.headers["HX-Redirect"] == f"/disconnections/{both.disconnection().id}"


def test_a_sign_in_that_is_half_made_is_nothing_to_look_at(world: World) -> None:
    """Else its check would keep it from being swept up."""
    alice = world.sign_in("alice@northwind.example")
    alice.get("/integrations/outlook-calendar")
    alice.press("Connect to Microsoft", follow=False)
    connection_id = db.session.scalars(select(Connection.id)).one()
    alice.get(f"/self-check/{connection_id}")
    alice.press("Check now")
    assert db.session.scalars(select(SelfCheck.id)).all() == []


def test_strangers_check_nothing(world: World, alice: Visitor) -> None:
    other = world.sign_in("bob@northwind.example")
    at = f"/self-check/{world.connection().id}"
    db.session.rollback()
    other.get(at, status=404)
    for path in (at, f"{at}/next", f"{at}/send"):
        assert other.post(path).status_code == 404

"""Check my connection: step by step, in plain words, sent to support without a secret."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import Conversation, Entry, Executor, SelfCheck
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


def test_strangers_check_nothing(world: World, alice: Visitor) -> None:
    other = world.sign_in("bob@northwind.example")
    at = f"/self-check/{world.connection().id}"
    db.session.rollback()
    other.get(at, status=404)
    for path in (at, f"{at}/next", f"{at}/send"):
        assert other.post(path).status_code == 404

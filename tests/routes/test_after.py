"""After a disconnection: the person's word, and a look at the consent without any token of ours."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from sqlalchemy import select, update

from portal import clock
from portal.db import db
from portal.models import Activity, Disconnection, Member
from portal.providers.base import Unreachable
from portal.workflows import after
from tests.world import Visitor, World

ADELE = "adele@contoso.example"
BOB = select(Member.id).where(Member.email.like("bob%")).scalar_subquery()


@pytest.fixture
def ended(world: World) -> Visitor:
    """Alice, on the confirmation page."""
    alice = world.connected()
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    alice.get(f"/disconnections/{world.disconnection().id}")
    return alice


def answered(alice: Visitor) -> str:
    """Press Check again and follow the browser to Microsoft; where Microsoft sends it back to."""
    alice.press("Check again", follow=False)
    assert alice.page is not None
    answer = alice.at_microsoft.get(alice.page.location, allow_redirects=False, timeout=10)
    assert answer.is_redirect, "nothing may be shown to the person"
    return "/integrations" + answer.headers["Location"].partition("/integrations")[2]


def check(alice: Visitor) -> str:
    """Check again, and what the page says of it."""
    alice.page = alice.client.get(answered(alice))
    assert alice.page.status_code == 303
    alice.get(alice.page.location)
    section = alice.soup.find(id="afterwards")
    assert section is not None
    return section.get_text(" ", strip=True)


def found() -> str | None:
    """What the disconnection says was found, read anew."""
    db.session.rollback()
    return db.session.scalar(select(Disconnection.check_finding))


def test_what_two_tabs_say_at_once_is_recorded_once(both: World) -> None:
    """Only PostgreSQL lets one of them read while the other one writes."""
    alice = both.connected()
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    both.work()
    if db.engine.dialect.name != "postgresql":
        return
    mine = both.disconnection()
    assert mine.said_done_at is None, "read before the other tab's word"
    with db.engine.begin() as others:
        others.execute(update(Disconnection).values(said_done_at=clock.now()))
    after.say_done(mine.id)
    asked = select(Activity).where(Activity.event == "connection:consent:said_done")
    assert db.session.scalars(asked).all() == []


def test_it_works(ended: Visitor) -> None:
    ended.press("I have done this")
    assert "You told us" in ended.soup.get_text(" ", strip=True)


def test_who_says_it_and_when_is_noted_once(ended: Visitor, world: World) -> None:
    """Another tab still shows the button: what was said first stays."""
    first = clock.now() - timedelta(days=1)
    path, row = f"/disconnections/{world.disconnection().id}/done", world.disconnection()
    whose = (row.member_id, row.connection_id)
    assert ended.post(path).status_code == 303
    db.session.execute(update(Disconnection).values(said_done_at=first))
    db.session.commit()
    assert ended.post(path).status_code == 303
    assert world.disconnection().said_done_at == first
    said = select(Activity.member_id, Activity.connection_id).where(Activity.event == "connection:consent:said_done")
    assert [tuple(each) for each in db.session.execute(said)] == [whose]


def test_checking_finds_consent_that_still_stands(ended: Visitor, world: World) -> None:
    calls = len([call for call in world.microsoft.calls() if call["path"].endswith("/token")])
    assert "Still there" in check(ended)
    after = len([call for call in world.microsoft.calls() if call["path"].endswith("/token")])
    assert after == calls, "the code that came back must not be redeemed"


def test_checking_finds_consent_that_was_withdrawn(ended: Visitor, world: World) -> None:
    world.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    assert "Removed" in check(ended)


def test_checking_says_so_when_microsoft_tells_nothing(ended: Visitor) -> None:
    ended.at_microsoft.cookies.clear()
    assert "Not known" in check(ended)


def test_microsoft_out_of_reach_is_said_on_the_receipt(ended: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> str:
        raise Unreachable

    monkeypatch.setattr(after, "begin_check", away)
    ended.press("Check again")
    notice = ended.soup.find(id="notice")
    assert notice is not None
    assert "Microsoft is not answering" in notice.get_text(" ", strip=True)
    assert ended.get("/integrations").find(id="notice") is None, "it was said where it happened"


def test_a_late_answer_is_not_taken(ended: Visitor) -> None:
    path = answered(ended)
    db.session.execute(update(Disconnection).values(check_expires_at=clock.now()))
    db.session.commit()
    assert "/disconnections/" not in ended.client.get(path).location
    assert found() is None


def test_an_answer_is_taken_once(ended: Visitor) -> None:
    path = answered(ended)
    ended.client.get(path)
    assert found() == "still_there"
    db.session.execute(update(Disconnection).values(check_finding=None))
    db.session.commit()
    assert "/disconnections/" not in ended.client.get(path).location
    assert found() is None


def test_an_answer_to_no_question_of_ours_is_not_taken(ended: Visitor) -> None:
    path = answered(ended)
    address = urlsplit(path)
    forged = [(name, "x" * 43 if name == "state" else value) for name, value in parse_qsl(address.query)]
    assert "/disconnections/" not in ended.client.get(f"{address.path}?{urlencode(forged)}").location
    assert found() is None
    ended.client.get(path)
    assert found() == "still_there", "the true one is still waited for"


def test_the_answer_of_another_browser_or_person_is_not_taken(ended: Visitor, world: World) -> None:
    path = answered(ended)
    for email in ("alice@northwind.example", "bob@northwind.example"):
        other = world.sign_in(email)
        assert "/disconnections/" not in other.client.get(path).location
        assert found() is None
    db.session.execute(update(Disconnection).values(member_id=BOB))
    db.session.commit()
    assert "/disconnections/" not in ended.client.get(path).location, "this browser, but another's disconnection"
    assert found() is None


def test_the_receipt_itself_stays_as_it_was(ended: Visitor, world: World) -> None:
    path = f"/disconnections/{world.disconnection().id}/receipt.json"
    before = ended.client.get(path).data
    ended.press("I have done this")
    assert ended.client.get(path).data == before

"""After a disconnection: the person's word, and a look at the consent without any token of ours."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from portal import clock
from portal.db import db
from portal.models import Disconnection
from tests.world import Visitor, World

ADELE = "adele@contoso.example"


@pytest.fixture
def ended(world: World) -> Visitor:
    """Alice, on the confirmation page."""
    alice = world.connected()
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    alice.get(f"/disconnections/{world.disconnection().id}")
    return alice


def check(alice: Visitor) -> str:
    """Press Check again and follow the browser to Microsoft and back."""
    alice.press("Check again", follow=False)
    assert alice.page is not None
    answer = alice.at_microsoft.get(alice.page.location, allow_redirects=False, timeout=10)
    assert answer.is_redirect, "nothing may be shown to the person"
    path = answer.headers["Location"].partition("/integrations")[2]
    alice.page = alice.client.get(f"/integrations{path}")
    assert alice.page.status_code == 303
    alice.get(alice.page.location)
    section = alice.soup.find(id="afterwards")
    assert section is not None
    return section.get_text(" ", strip=True)


def test_it_works(ended: Visitor) -> None:
    ended.press("I have done this")
    assert "You told us" in ended.soup.get_text(" ", strip=True)


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


def test_an_answer_is_taken_once_and_in_time_only(ended: Visitor) -> None:
    ended.press("Check again", follow=False)
    assert ended.page is not None
    answer = ended.at_microsoft.get(ended.page.location, allow_redirects=False, timeout=10)
    path = "/integrations" + answer.headers["Location"].partition("/integrations")[2]
    db.session.execute(update(Disconnection).values(check_expires_at=clock.now()))
    db.session.commit()
    ended.page = ended.client.get(path)
    assert "/disconnections/" not in ended.page.location
    assert db.session.scalar(db.select(Disconnection.check_finding)) is None


def test_the_receipt_itself_stays_as_it_was(ended: Visitor, world: World) -> None:
    path = f"/disconnections/{world.disconnection().id}/receipt.json"
    before = ended.client.get(path).data
    ended.press("I have done this")
    assert ended.client.get(path).data == before

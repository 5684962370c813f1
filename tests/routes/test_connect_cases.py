"""Connecting when Microsoft, an administrator or a colleague has a say in it; and access that ends during a refresh.

The plain ways to connect, refuse, replay and reconnect are in `test_connect.py`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Activity, Approval, Connection, Copy, Token
from portal.parts import parts
from portal.providers.base import AccessReason
from portal.workflows import counters, sign_in_attempts
from tests.walker import Walker
from tests.world import CARD, CLIENT_ID, Visitor, World

ADELE, ADMIN, RAVI = "adele@contoso.example", "admin@contoso.example", "ravi@wingtip.example"
WINGTIP_ADMIN = "admin@wingtip.example"
CALLBACK = f"{CARD}/callback"
WAIT = "My administrator must approve"


@pytest.fixture
def alice(world: World) -> Visitor:
    """Alice, every page checked."""
    alice = world.sign_in("alice@northwind.example")
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    return alice


def count(table: type) -> int:
    db.session.rollback()
    found = db.session.scalar(select(func.count()).select_from(table)) or 0
    db.session.rollback()
    return found


def our_faults() -> int:
    db.session.rollback()
    found = counters.values()["our_faults"]
    db.session.rollback()
    return found


def words(visitor: Visitor) -> str:
    return re.sub(r"\s+", " ", visitor.soup.get_text(" ", strip=True))


def leave(visitor: Visitor, button: str = "Connect to Microsoft") -> str:
    visitor.get(CARD)
    visitor.press(button, follow=False)
    assert visitor.page is not None
    return visitor.page.location


def sync(world: World, visitor: Visitor) -> str:
    """Press Sync now, let the engine work; what the card says then."""
    visitor.get(CARD)
    visitor.press("Sync now")
    world.work()
    visitor.get(CARD)
    return words(visitor)


# --- an administrator has to approve ------------------------------------------------------------------------------


def test_it_works(world: World, alice: Visitor) -> None:
    """The whole way: stopped by Microsoft, remembered, approved by the administrator, looked at again, connected."""
    alice.connect(RAVI, answer="Return to the application without granting consent")
    assert "If Microsoft asked for an administrator's approval" in words(alice)
    alice.press(WAIT)
    assert "Waiting for your administrator" in words(alice)
    assert count(Approval) == 1
    text = alice.soup.find("textarea")
    link = alice.soup.find("a", href=re.compile("adminconsent"))
    assert text is not None
    assert link is not None
    assert str(link["href"]) in text.get_text()

    back = alice.through_microsoft(str(link["href"]), WINGTIP_ADMIN)
    alice.at_microsoft.cookies.clear()
    parts_ = urlsplit(back)
    assert parse_qs(parts_.query)["admin_consent"] == ["True"]
    assert alice.client.get(f"{parts_.path}?{parts_.query}").status_code == 303
    alice.get(CARD)
    assert "Approved, says Microsoft" in words(alice)
    assert count(Approval) == 1, "whoever said so, it proves nothing"

    alice.press("Look again", follow=False)
    alice.come_back(RAVI)
    assert "Outlook Calendar is connected" in words(alice)
    assert "Waiting for your administrator" not in words(alice)
    assert count(Approval) == 0


def test_an_answer_that_asks_for_approval_is_remembered_by_itself(world: World, alice: Visitor) -> None:
    state = parse_qs(urlsplit(leave(alice)).query)["state"][0]
    assert alice.client.get(f"{CALLBACK}?state={state}&error=consent_required").status_code == 303
    alice.get(CARD)
    assert "Your administrator has to approve Coordinoter first" in words(alice)
    assert "Waiting for your administrator" in words(alice)
    alice.get("/agenda")
    alice.get(CARD)
    assert "Waiting for your administrator" in words(alice), "it stays"
    alice.press("Wait no longer")
    assert "Waiting for your administrator" not in words(alice)
    alice.form(WAIT)


def test_waiting_is_remembered_once_and_for_this_member_alone(world: World, alice: Visitor) -> None:
    for _ in range(2):
        alice.post(f"{CARD}/approval")
    assert count(Approval) == 1
    db.session.rollback()
    assert len(list(db.session.scalars(select(Activity).where(Activity.event == "connection:approval:wait")))) == 1
    db.session.rollback()
    bob = world.sign_in("bob@northwind.example")
    bob.get(CARD)
    assert "Waiting for your administrator" not in words(bob)
    bob.post(f"{CARD}/approval/dismiss")
    assert count(Approval) == 1


def test_one_may_wait_for_a_second_account_too(world: World) -> None:
    alice = world.connected()
    alice.press(WAIT)
    assert "Waiting for your administrator" in words(alice)
    assert "Connected" in words(alice)


def test_an_administrator_who_has_no_account_here_is_thanked(world: World, anybody: Visitor) -> None:
    answer = anybody.client.get(f"{CALLBACK}?admin_consent=True&tenant=x&scope=Calendars.ReadWrite")
    assert answer.status_code == 303
    anybody.get(answer.location)
    assert "Microsoft says that you have approved Coordinoter" in words(anybody)


def test_an_administrator_who_cancels_is_told_so(world: World, alice: Visitor, anybody: Visitor) -> None:
    """Not that a sign-in took too long: the approval's link carries no `state`, and begins no sign-in of ours."""
    link = parts().providers["outlook-calendar"].handover(parts().settings.redirect_uri).approve
    back = urlsplit(anybody.through_microsoft(link, WINGTIP_ADMIN, answer="Cancel"))
    for visitor in (alice, anybody):
        answer = visitor.client.get(f"{back.path}?{back.query}")
        assert answer.status_code == 303
        visitor.get(answer.location)
    assert "Not approved, says Microsoft" in words(alice)
    assert "Coordinoter was not approved" in words(anybody)


def test_there_is_nothing_to_wait_for_under_another_name(alice: Visitor) -> None:
    for path in ("approval", "approval/dismiss"):
        assert alice.post(f"/integrations/fax-machine/{path}").status_code == 404


# --- nobody came back ---------------------------------------------------------------------------------------------


def test_a_sign_in_that_nobody_comes_back_from_leaves_nothing(world: World, alice: Visitor) -> None:
    leave(alice)
    attempt_id = db.session.scalars(select(Connection.id)).one()
    db.session.rollback()
    alice.get(CARD)
    assert "Not connected" in words(alice), "the card shows no half-made connection"
    alice.form(WAIT)
    db.session.execute(update(Connection).values(created_at=clock.now() - timedelta(minutes=11)))
    db.session.commit()
    sign_in_attempts.forget_all_abandoned()
    assert count(Connection) == 0
    assert not parts().vault.has_key(attempt_id)


# --- a colleague --------------------------------------------------------------------------------------------------


def test_a_colleague_may_connect_the_same_mailbox(world: World) -> None:
    alice = world.connected()
    assert "Another member" not in words(alice)
    copies = count(Copy)
    bob = world.connected("bob@northwind.example")
    assert count(Copy) == 2 * copies, "both sync, each with copies of their own"
    for visitor, name in ((alice, "Bob"), (bob, "Alice")):
        visitor.get(CARD)
        card = visitor.soup.find(id="card-outlook-calendar")
        assert card is not None
        assert "Another member of your business has connected this account, too" in card.get_text()
        assert name not in card.get_text(), "who it is is not told"
    bob.press("Disconnect from Microsoft")
    bob.press("Disconnect")
    world.work()
    assert count(Copy) == copies
    assert "Another member" not in sync(world, alice)
    assert "Changes in Outlook arrive by themselves" in words(alice), "the colleague's connection goes on"


def test_another_business_is_not_told_of(world: World) -> None:
    alice = world.connected()
    world.connected("charlie@fabrikam.example")
    alice.get(CARD)
    assert "Another member" not in words(alice)


# --- access that ends during a refresh ----------------------------------------------------------------------------

ACCOUNT = f"accounts/{ADELE}"
PLACE = f"tenants/contoso.example/applications/{CLIENT_ID}"
FAULT = {"kind": "status", "times": None}
ENDS = {
    AccessReason.CONSENT_WITHDRAWN: ("POST", f"{ACCOUNT}/withdraw", {"tenant_wide": False}),
    AccessReason.TOKEN_EXPIRED: ("POST", f"{ACCOUNT}/revoke-sessions", {}),
    AccessReason.SIGN_IN_NEEDED: ("PATCH", ACCOUNT, {"sign_in_problem": 50076}),
    AccessReason.POLICY_BLOCKS: ("PATCH", ACCOUNT, {"sign_in_problem": 53003}),
    AccessReason.ACCOUNT_DISABLED: ("PATCH", ACCOUNT, {"enabled": False}),
    AccessReason.ACCOUNT_MISSING: ("POST", "faults", {**FAULT, "endpoint": "token", "status": 400, "aadsts": 50034}),
    AccessReason.APP_REMOVED: ("PATCH", PLACE, {"enabled": False}),
    AccessReason.SCOPE_MISSING: (
        "POST",
        "faults",
        {**FAULT, "endpoint": "calendars", "status": 403, "code": "ErrorAccessDenied"},
    ),
    AccessReason.NO_MAILBOX: ("PATCH", ACCOUNT, {"mailbox_error": "MailboxNotEnabledForRESTAPI"}),
}
TITLES = {
    AccessReason.CONSENT_WITHDRAWN: "Permission was withdrawn at Microsoft",
    AccessReason.TOKEN_EXPIRED: "Our access has lapsed",
    AccessReason.SIGN_IN_NEEDED: "Microsoft wants you to sign in again",
    AccessReason.POLICY_BLOCKS: "Your organisation’s rules keep us out",
    AccessReason.ACCOUNT_DISABLED: "This Microsoft account is disabled",
    AccessReason.ACCOUNT_MISSING: "This Microsoft account no longer exists",
    AccessReason.APP_REMOVED: "Coordinoter was removed from your organisation",
    AccessReason.SCOPE_MISSING: "A permission is missing",
    AccessReason.NO_MAILBOX: "This account has no calendar",
    AccessReason.TOKEN_UNREADABLE: "We cannot read our own key",
}


def test_every_reason_has_a_test() -> None:
    assert set(ENDS) | {AccessReason.TOKEN_UNREADABLE} == set(TITLES) == set(AccessReason)


@pytest.mark.parametrize("reason", AccessReason)
def test_the_card_tells_the_true_reason_and_disconnecting_works(world: World, reason: AccessReason) -> None:
    alice = world.connected()
    copies = count(Copy)
    if reason in ENDS:
        method, path, body = ENDS[reason]
        world.microsoft.desk(method, path, **body)
    else:
        parts().vault.destroy(world.connection().id)
    world.microsoft.desk("POST", f"{ACCOUNT}/expire-tokens", kinds=["access"])
    said = sync(world, alice)
    assert TITLES[reason] in said
    assert world.connection().attention_reason == reason
    assert "Needs attention" in said
    assert count(Copy) == copies, "nothing is lost"
    assert our_faults() == 0
    alice.form("Reconnect")
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    assert world.disconnection().is_finished()
    assert count(Connection) == count(Token) == count(Copy) == 0


# --- our own fault ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [{"secret_expired": True}, {"secret": "another-secret-0123456789abcdef"}])
def test_our_own_fault_alarms_operators_and_asks_nothing_of_people(world: World, trouble: dict[str, object]) -> None:
    alice = world.connected()
    held = db.session.execute(select(Token.access_sealed, Token.refresh_sealed)).one()
    db.session.rollback()
    world.microsoft.desk("PATCH", f"applications/{CLIENT_ID}", **trouble)
    world.microsoft.desk("POST", f"{ACCOUNT}/expire-tokens", kinds=["access"])
    said = sync(world, alice)
    assert "Coordinoter's own registration at Microsoft has a problem. Our operators have been told." in said
    assert "we try again every five minutes" in said
    assert "Needs attention" not in said
    assert "Reconnect" not in said
    assert our_faults() == 1
    assert "coordinoter_our_faults_total 1" in alice.client.get("/metrics").text
    assert db.session.execute(select(Token.access_sealed, Token.refresh_sealed)).one() == held, "tokens are kept"
    db.session.rollback()


def test_our_own_fault_heals_without_anybody(world: World) -> None:
    alice = world.connected()
    world.microsoft.breaks("status", "token", status=401, aadsts=7000222, times=1)
    world.microsoft.desk("POST", f"{ACCOUNT}/expire-tokens", kinds=["access"])
    assert "own registration at Microsoft has a problem" in sync(world, alice)
    assert "Changes in Outlook arrive by themselves" in sync(world, alice)


def test_our_own_fault_while_connecting_is_counted_too(world: World, alice: Visitor) -> None:
    world.microsoft.breaks("status", "token", status=401, aadsts=7000215, times=1)
    alice.connect(ADELE)
    assert "Coordinoter's own registration at Microsoft has a problem" in words(alice)
    assert our_faults() == 1
    assert count(Connection) == 0


def test_our_own_fault_while_disconnecting_erases_all_the_same(world: World) -> None:
    alice = world.connected()
    world.microsoft.desk("PATCH", f"applications/{CLIENT_ID}", secret_expired=True)
    world.microsoft.desk("POST", f"{ACCOUNT}/expire-tokens", kinds=["access"])
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    assert our_faults() >= 1
    assert count(Connection) == count(Token) == 0


def test_trouble_that_passes_is_told_on_the_card(world: World) -> None:
    alice = world.connected()
    world.microsoft.breaks("status", "calendars", status=503, times=1)
    assert "Microsoft is not answering. The last sync was not finished" in sync(world, alice)
    assert "Changes in Outlook arrive by themselves" in sync(world, alice)

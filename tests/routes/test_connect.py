"""Connect and Reconnect over HTTP: leave for Microsoft, come back, and what a strange answer comes to."""

from __future__ import annotations

import base64
import json
import re
import zlib
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import func, select, update

from portal import clock
from portal.db import db
from portal.models import Connection, Copy, Disconnection, Subscription, Token
from portal.parts import parts
from portal.workflows.sign_in_attempts import PURPOSE
from tests.world import CARD, HTMX, Visitor, World

ADELE, ADMIN, MEGAN = "adele@contoso.example", "admin@contoso.example", "megan@outlook.example"
RAVI = "ravi@wingtip.example"
CALLBACK = f"{CARD}/callback"
EXPIRED = "That sign-in took too long or was already used"


def count(table: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def states() -> list[str]:
    db.session.rollback()
    return sorted(db.session.scalars(select(Connection.state)))


def words(visitor: Visitor) -> str:
    return re.sub(r"\s+", " ", visitor.soup.get_text(" ", strip=True))


def notice(visitor: Visitor) -> str:
    """What the card's notice says; empty when there is none."""
    found = visitor.soup.find(id="notice")
    return re.sub(r"\s+", " ", found.get_text(" ", strip=True)) if found else ""


def leave(visitor: Visitor, button: str = "Connect to Microsoft") -> str:
    """Press Connect; the address at Microsoft that the browser is sent to."""
    visitor.get(CARD)
    visitor.press(button, follow=False)
    assert visitor.page is not None
    assert visitor.page.status_code == 303, visitor.page.text[:500]
    return visitor.page.location


def answer_of(visitor: Visitor, account: str = ADELE, answer: str = "Accept") -> str:
    """Press Connect and walk Microsoft's pages; path and query of the callback, not yet opened."""
    back = urlsplit(visitor.through_microsoft(leave(visitor), account, answer=answer))
    return f"{back.path}?{back.query}"


def bring(visitor: Visitor, address: str) -> str:
    """Open a callback; the notice on the card it leads to."""
    answer = visitor.client.get(address)
    assert (answer.status_code, answer.location) == (303, CARD), "no code and no state is carried on"
    visitor.get(CARD)
    return notice(visitor)


def cookie(visitor: Visitor) -> str:
    """The readable content of the session cookie: it is signed, not secret."""
    value = visitor.client._client.get_cookie("coordinoter_session")
    assert value is not None
    text = value.value.removeprefix(".").split(".")[0]
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return (zlib.decompress(raw) if value.value.startswith(".") else raw).decode()


def test_it_works(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    where = urlsplit(leave(alice))
    assert f"{where.scheme}://{where.netloc}" == world.microsoft.url
    alice.connect(ADELE)
    assert alice.page is not None
    assert alice.page.request.path == CARD
    assert notice(alice).startswith("Outlook Calendar is connected")
    assert ADELE in words(alice)
    world.work()
    assert count(Copy) > 20
    alice.get(CARD)
    assert notice(alice) == "", "a notice is shown once"


def test_microsoft_is_asked_for_what_the_card_says_and_no_more(world: World) -> None:
    asked = parse_qs(urlsplit(leave(world.sign_in("alice@northwind.example"))).query)
    assert set(asked["scope"][0].split()) >= {"openid", "offline_access", "Calendars.ReadWrite"}
    assert not [scope for scope in asked["scope"][0].split() if scope.lower().startswith(("mail", "files", "contacts"))]
    assert asked["code_challenge_method"] == ["S256"]
    assert asked["prompt"] == ["select_account"]
    assert asked["redirect_uri"] == [world.app.extensions["settings"].redirect_uri]
    assert len(asked["state"][0]) > 20
    assert len(asked["nonce"][0]) > 20


def test_the_secrets_of_a_sign_in_stay_here_and_sealed(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    asked = parse_qs(urlsplit(leave(alice)).query)
    attempt = db.session.scalars(select(Connection)).one()
    assert attempt.sign_in_sealed is not None
    secrets = json.loads(parts().vault.open(attempt.id, PURPOSE, attempt.sign_in_sealed))
    assert (secrets["state"], secrets["nonce"]) == (asked["state"][0], asked["nonce"][0])
    row = " ".join(str(getattr(attempt, column.key)) for column in Connection.__table__.columns)
    for secret in (secrets["state"], secrets["nonce"], secrets["code_verifier"]):
        assert len(secret) >= 32
        assert secret not in cookie(alice)
        assert secret not in row
    assert "browser" in cookie(alice), "the cookie could be read at all"


def test_a_code_works_once(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    address = answer_of(alice)
    assert bring(alice, address).startswith("Outlook Calendar is connected")
    assert bring(alice, address).startswith(EXPIRED)
    assert states() == ["connected"]


def test_an_answer_is_taken_only_in_the_browser_that_asked(world: World) -> None:
    alice, elsewhere = world.sign_in("alice@northwind.example"), world.sign_in("alice@northwind.example")
    address = answer_of(alice)
    leave(elsewhere)  # it has a name of its own by now
    assert bring(elsewhere, address).startswith(EXPIRED)
    assert "connected" not in states()
    assert bring(alice, address).startswith("Outlook Calendar is connected"), "nothing was spent by the stranger"


def test_a_member_never_connects_the_account_of_another(world: World) -> None:
    """Login CSRF: Charlie sends Alice the answer to his own sign-in, or brings hers himself."""
    alice, charlie = world.sign_in("alice@northwind.example"), world.sign_in("charlie@fabrikam.example")
    his, hers = answer_of(charlie, MEGAN), answer_of(alice)
    assert bring(alice, his).startswith(EXPIRED)
    assert bring(charlie, hers).startswith(EXPIRED)
    assert states() == ["connecting", "connecting"]


def test_the_same_browser_under_another_member_is_another_session(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    address = answer_of(alice)
    alice.get("/")
    alice.press("Sign out")
    alice.press("Sign in", email="bob@northwind.example", password="integrations-demo")
    assert bring(alice, address).startswith(EXPIRED)
    assert "connected" not in states()


def test_an_answer_without_a_session_goes_nowhere(world: World, anybody: Visitor) -> None:
    address = answer_of(world.sign_in("alice@northwind.example"))
    answer = anybody.client.get(address)
    assert (answer.status_code, answer.location) == (303, CARD)
    asked = anybody.client.get(answer.location)
    assert asked.status_code == 303
    assert "code" not in parse_qs(urlsplit(asked.location).query)["next"][0]
    assert "connected" not in states()


def test_ten_minutes_is_all_there_is(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    address = answer_of(alice)
    attempt = db.session.scalars(select(Connection)).one()
    assert attempt.sign_in_expires_at is not None
    assert timedelta(minutes=9) < attempt.sign_in_expires_at - clock.now() <= timedelta(minutes=10)
    db.session.execute(update(Connection).values(sign_in_expires_at=clock.now() - timedelta(seconds=1)))
    db.session.commit()
    assert bring(alice, address).startswith(EXPIRED)
    assert "connected" not in states()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"code": "x"},
        {"state": ""},
        {"state": "x"},
        {"code": "x", "state": "x"},
        {"error": "access_denied", "state": "x"},
    ],
)
def test_an_answer_that_belongs_to_no_question_is_thrown_away(world: World, parameters: dict[str, str]) -> None:
    alice = world.sign_in("alice@northwind.example")
    leave(alice)
    assert bring(alice, f"{CALLBACK}?{urlencode(parameters)}").startswith(EXPIRED)
    assert states() == ["connecting"], "the question waits on for its true answer"


@pytest.mark.parametrize("more", [{}, {"code": ""}, {"code": "not-a-code"}, {"error": "made_up"}])
def test_a_true_state_with_a_wrong_answer_connects_nothing(world: World, more: dict[str, str]) -> None:
    alice = world.sign_in("alice@northwind.example")
    state = parse_qs(urlsplit(leave(alice)).query)["state"][0]
    attempt_id = db.session.scalars(select(Connection.id)).one()
    said = bring(alice, f"{CALLBACK}?{urlencode({'state': state, **more})}")
    assert said
    assert "is connected" not in said
    assert states() == []
    assert not parts().vault.has_key(attempt_id), "an attempt leaves nothing behind, its key included"


@pytest.mark.parametrize(
    ("account", "answer", "said"),
    [
        (ADELE, "Cancel", "Nothing was connected You cancelled at Microsoft"),
        (ADELE, "Decline", "Nothing was connected The permission was declined at Microsoft"),
        (RAVI, "Return to the application without granting consent", "Nothing was connected"),
    ],
)
def test_a_refusal_comes_back_as_a_calm_notice(world: World, account: str, answer: str, said: str) -> None:
    alice = world.sign_in("alice@northwind.example")
    alice.connect(account, answer=answer)
    assert alice.page is not None
    assert alice.page.status_code == 200
    assert notice(alice).startswith(said)
    assert states() == []
    assert "Connect to Microsoft" in words(alice)


def test_an_administrator_who_must_approve_is_written_to(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    state = parse_qs(urlsplit(leave(alice)).query)["state"][0]
    said = bring(alice, f"{CALLBACK}?{urlencode({'state': state, 'error': 'consent_required'})}")
    assert said.startswith("Your administrator has to approve Coordinoter first")
    text, link = alice.soup.find("textarea"), alice.soup.find("a", href=re.compile("adminconsent"))
    assert text is not None
    assert link is not None
    assert str(link["href"]) in text.get_text()
    asked = parse_qs(urlsplit(str(link["href"])).query)
    assert asked["client_id"] == [world.app.extensions["settings"].microsoft_client_id]


@pytest.mark.parametrize(
    ("change", "title"),
    [
        ({"withheld": ["Calendars.ReadWrite"]}, "Calendar access was not included"),
        ({"mailbox_error": "MailboxNotEnabledForRESTAPI"}, "This account has no Outlook calendar"),
        ({"sign_in_problem": 53003}, "Nothing was connected"),
    ],
)
def test_an_account_that_cannot_be_used_is_explained(world: World, change: dict[str, object], title: str) -> None:
    world.microsoft.desk("PATCH", f"accounts/{ADELE}", **change)
    alice = world.sign_in("alice@northwind.example")
    alice.connect(ADELE)
    assert notice(alice).startswith(title)
    assert states() == []


@pytest.mark.parametrize(
    ("fault", "title"),
    [
        ({"kind": "drop", "endpoint": "token"}, "Microsoft is not answering"),
        ({"kind": "status", "endpoint": "token", "status": 503}, "Microsoft is not answering"),
        ({"kind": "status", "endpoint": "token", "status": 401, "aadsts": 7000222}, "Coordinoter's own registration"),
        ({"kind": "status", "endpoint": "token", "status": 400, "aadsts": 53003}, "Your organisation does not allow"),
        ({"kind": "not_json", "endpoint": "token"}, ""),
    ],
)
def test_trouble_while_the_code_is_redeemed(world: World, fault: dict[str, object], title: str) -> None:
    alice = world.sign_in("alice@northwind.example")
    address = answer_of(alice)
    world.microsoft.desk("POST", "faults", times=None, **fault)
    said = bring(alice, address)
    world.microsoft.mend()
    assert said.startswith(title)
    assert said
    assert "is connected" not in said
    assert states() == []
    alice.connect(ADELE)
    assert notice(alice).startswith("Outlook Calendar is connected"), "trying again is all it takes"


def test_microsoft_unreachable_before_leaving(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    world.microsoft.breaks("drop", "discovery", times=None)
    alice.get(CARD)
    alice.press("Connect to Microsoft")
    assert alice.page is not None
    assert alice.page.request.path == CARD
    assert notice(alice).startswith("Microsoft is not answering")
    assert states() == []


def test_the_same_account_again_is_the_same_connection(world: World) -> None:
    alice = world.connected()
    before, copies = world.connection(), count(Copy)
    connection_id, epoch = before.id, before.epoch
    alice.connect(ADELE, button="Connect another account")
    world.work()
    after = world.connection()
    assert (after.id, after.epoch) == (connection_id, epoch + 1)
    assert count(Copy) == copies
    assert len(world.microsoft.holds(ADELE)["subscriptions"]) == count(Subscription) == 1


def test_a_second_account_has_a_place_of_its_own(world: World) -> None:
    alice = world.connected()
    alice.connect(MEGAN, button="Connect another account")
    world.work()
    alice.get(CARD)
    said = words(alice)
    assert ADELE in said
    assert MEGAN in said
    assert said.count("Disconnect from Microsoft") == 2
    assert states() == ["connected", "connected"]


def withdrawn(world: World) -> Visitor:
    """Alice, whose connection needs attention."""
    alice = world.connected()
    world.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    world.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    alice.get(CARD)
    alice.press("Sync now")
    world.work()
    alice.get(CARD)
    assert states() == ["needs_attention"]
    return alice


def test_reconnect_mends_without_doubles(world: World) -> None:
    alice = withdrawn(world)
    connection_id, copies = world.connection().id, count(Copy)
    assert "Permission was withdrawn at Microsoft" in words(alice)
    alice.press("Reconnect", follow=False)
    assert alice.page is not None
    asked = parse_qs(urlsplit(alice.page.location).query)
    assert asked["login_hint"] == [ADELE]
    alice.come_back(ADELE)
    assert notice(alice).startswith("Outlook Calendar is connected")
    world.work()
    mended = world.connection()
    assert (mended.id, mended.state, mended.attention_reason) == (connection_id, "connected", None)
    assert count(Copy) == copies
    assert len(world.microsoft.holds(ADELE)["subscriptions"]) == 1


def test_reconnect_with_another_account_changes_nothing(world: World) -> None:
    alice = withdrawn(world)
    before = {column.key: getattr(world.connection(), column.key) for column in Connection.__table__.columns}
    alice.press("Reconnect", follow=False)
    assert alice.page is not None
    address = re.sub(r"login_hint=[^&]*", "prompt=select_account", alice.page.location)
    back = urlsplit(alice.through_microsoft(address, MEGAN))
    assert bring(alice, f"{back.path}?{back.query}").startswith("That was another account")
    after = {column.key: getattr(world.connection(), column.key) for column in Connection.__table__.columns}
    assert after == before
    assert states() == ["needs_attention"]


def test_what_a_refused_reconnect_was_issued_stands_on_the_receipt(world: World) -> None:
    """Microsoft issued a token; then there was no mailbox. We hold it no more, but there it lives on."""
    alice = withdrawn(world)
    db.session.execute(update(Token).values(lapses_at=clock.now()))  # what came before has lapsed
    db.session.commit()
    world.microsoft.desk("PATCH", f"accounts/{ADELE}", mailbox_error="MailboxNotEnabledForRESTAPI")
    alice.press("Reconnect", follow=False)
    assert alice.come_back(ADELE)
    assert notice(alice).startswith("This account has no Outlook calendar")
    last = datetime.fromisoformat(world.microsoft.holds(ADELE)["access_tokens"]["last_expires"])
    world.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)  # nothing newer is issued
    alice.post(f"/connections/{world.connection().id}/disconnect")
    world.work()
    told = world.disconnection().lapses_at
    assert told is not None
    assert told >= last


def test_what_a_reconnect_may_have_been_issued_in_a_lost_answer_stands_on_the_receipt(world: World) -> None:
    alice = withdrawn(world)
    db.session.execute(update(Token).values(lapses_at=clock.now()))
    db.session.commit()
    alice.press("Reconnect", follow=False)
    world.microsoft.breaks("drop_after", "token", times=None)
    assert alice.come_back(ADELE)
    last = datetime.fromisoformat(world.microsoft.holds(ADELE)["access_tokens"]["last_expires"])
    world.microsoft.mend()
    world.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    alice.get(CARD)
    alice.post(f"/connections/{world.connection().id}/disconnect")
    world.work()
    told = world.disconnection().lapses_at
    assert told is not None
    assert told >= last > clock.now() + timedelta(minutes=30)


def test_a_reconnect_under_way_ends_with_the_disconnection(world: World) -> None:
    alice = withdrawn(world)
    alice.press("Reconnect", follow=False)
    assert alice.page is not None
    back = urlsplit(alice.through_microsoft(alice.page.location, ADELE))
    alice.get(CARD)
    alice.post(f"/connections/{world.connection().id}/disconnect")
    assert bring(alice, f"{back.path}?{back.query}").startswith(EXPIRED)
    world.work()
    assert states() == []
    assert count(Copy) == 0


def test_connecting_again_waits_for_the_disconnection(world: World) -> None:
    alice = world.connected()
    alice.post(f"/connections/{world.connection().id}/disconnect")
    alice.get(CARD)
    alice.press("Connect another account", follow=False)
    alice.come_back(ADELE)
    assert notice(alice).startswith("This account is just being disconnected")
    assert states() == ["disconnecting"]
    world.work()
    alice.connect(ADELE)
    assert notice(alice).startswith("Outlook Calendar is connected")
    world.work()
    assert states() == ["connected"]
    assert count(Copy) > 20


def test_opening_the_address_of_the_button_changes_nothing(world: World) -> None:
    alice = world.connected()
    before = states()
    alice.get(f"{CARD}/connect", status=405)
    assert "the target of a button" in words(alice)
    alice.get(f"/connections/{world.connection().id}/reconnect", status=405)
    assert states() == before


def test_there_is_nothing_to_connect_under_another_name(world: World) -> None:
    alice = world.sign_in("alice@northwind.example")
    assert alice.post("/integrations/fax-machine/connect").status_code == 404
    alice.get("/integrations/fax-machine/callback?code=x&state=x", status=404)
    assert alice.client.get("/integrations/fax-machine/callback", headers=HTMX).status_code == 404
    assert states() == []


def test_what_is_on_its_way_out_cannot_be_mended(world: World) -> None:
    """A button of a page left open: nothing may point to a connection once it is being erased."""
    alice = withdrawn(world)
    connection_id = world.connection().id
    alice.post(f"/connections/{connection_id}/disconnect")
    alice.get(CARD)
    assert alice.post(f"/connections/{connection_id}/reconnect").location == CARD
    alice.get(CARD)
    assert notice(alice).startswith("This account is just being disconnected")
    assert states() == ["disconnecting"]


def test_the_receipt_tells_of_tokens_that_a_late_sign_in_won(world: World) -> None:
    alice = world.connected()
    alice.post(f"/connections/{world.connection().id}/disconnect")
    db.session.execute(update(Disconnection).values(lapses_at=clock.now()))
    db.session.commit()
    alice.get(CARD)
    alice.press("Connect another account", follow=False)
    alice.come_back(ADELE)
    assert notice(alice).startswith("This account is just being disconnected")
    lapses_at = world.disconnection().lapses_at
    db.session.rollback()
    assert lapses_at is not None
    assert lapses_at > clock.now() + timedelta(minutes=30)


def test_leaving_is_a_full_navigation(alice: Visitor) -> None:
    """htmx must not follow to Microsoft inside a page of ours.

    Nor is it a redirect of the form: a business with sign-in servers of its own would be stopped by `form-action`.
    """
    alice.get(CARD)
    alice.press("Connect to Microsoft", htmx=True)
    assert alice.page is not None
    assert alice.page.status_code == 204
    assert "/authorize?" in alice.page.headers["HX-Redirect"]

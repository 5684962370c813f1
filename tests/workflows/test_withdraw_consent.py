"""Withdrawing the permission itself, where the business's admin asked for it and where nobody did."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from portal.db import db
from portal.models import Business, Connection, DisconnectionStep, Member, Token
from portal.models.disconnection_step import DONE, EXPIRES, LEFT_TO_YOU
from portal.parts import parts
from portal.providers.base import AccessReason, ConsentWithdrawal
from portal.providers.outlook import graph
from portal.workflows import carry_out, tokens, withdraw_access, withdraw_consent
from portal.workflows import disconnect as disconnect_workflow
from portal.workflows.promise import Work
from tests.world import CLIENT_ID, Visitor, World

pytestmark = pytest.mark.postgresql_is_long

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"
APPLICATION = f"tenants/contoso.example/applications/{CLIENT_ID}"
RIGHT = "DelegatedPermissionGrant.ReadWrite.All"
BOB = Connection.member_id == select(Member.id).where(Member.email == "bob@northwind.example").scalar_subquery()


@pytest.fixture
def asked(world: World) -> World:
    """The business wants permissions removed, and Contoso's administrator allowed the application to."""
    db.session.execute(update(Business).values(removes_grants=True))
    db.session.commit()
    world.microsoft.desk("PATCH", APPLICATION, app_roles=[RIGHT])
    return world


def disconnect(world: World, visitor: Visitor) -> dict[str, Any]:
    """From the card to the receipt; the steps by name."""
    visitor.get("/integrations/outlook-calendar")
    visitor.press("Disconnect from Microsoft")
    visitor.press("Disconnect")
    world.work()
    db.session.rollback()
    steps = {step.name: step for step in db.session.query(DisconnectionStep)}
    db.session.expunge_all()
    db.session.rollback()
    return steps


def test_it_works(asked: World) -> None:
    steps = disconnect(asked, asked.connected())
    step = steps["withdraw_access"]
    assert (step.outcome, step.count, len(step.request_ids)) == (DONE, 1, 1)
    assert step.detail.startswith("1 permission removed at Microsoft.")
    assert "was not stored" in step.detail
    assert asked.microsoft.holds(ADELE)["grants"] == []
    old = steps["try_the_old_token"]
    assert old.outcome == EXPIRES, "an access token of before lapses by itself"
    assert old.detail.startswith("Microsoft did not accept our old token any more.")
    assert db.session.query(Token).count() == 0


def test_nobody_asked_so_it_is_left_to_the_person(world: World) -> None:
    world.microsoft.desk("PATCH", APPLICATION, app_roles=[RIGHT])
    step = disconnect(world, world.connected())["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert step.link.endswith("/myapps")
    assert len(world.microsoft.holds(ADELE)["grants"]) == 1
    assert not [call for call in world.microsoft.calls() if "oauth2PermissionGrants" in call["path"]]


def test_without_the_right_the_person_is_told_why(asked: World) -> None:
    asked.microsoft.desk("PATCH", APPLICATION, app_roles=[])
    step = disconnect(asked, asked.connected())["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert "permission for that is missing" in step.detail
    assert len(step.request_ids) == 1
    assert step.link.endswith("/myapps")


def test_a_consent_for_everybody_is_left_to_the_administrator(asked: World) -> None:
    alice = asked.connected()
    asked.microsoft.desk("POST", f"accounts/{ADELE}/consent", scopes=["Calendars.ReadWrite"], tenant_wide=True)
    step = disconnect(asked, alice)["withdraw_access"]
    assert (step.outcome, step.count) == (LEFT_TO_YOU, 1)
    assert "Your own permission was removed" in step.detail
    assert "only your administrator" in step.detail
    assert step.link_title == "Entra admin center"
    assert len(asked.microsoft.holds(ADELE)["grants"]) == 1


def test_a_personal_account_has_no_administrator(asked: World) -> None:
    step = disconnect(asked, asked.connected(account=MEGAN))["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert step.link.endswith("/consent/Manage")
    assert "administrator" not in step.detail


def test_another_connection_to_the_same_account_keeps_the_permission(asked: World) -> None:
    asked.connected("bob@northwind.example")
    alice = asked.connected()
    step = disconnect(asked, alice)["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert "Another connection" in step.detail
    assert "bob" not in step.detail.lower()
    assert len(asked.microsoft.holds(ADELE)["grants"]) == 1
    bob = asked.sign_in("bob@northwind.example")
    assert disconnect_second(asked, bob).outcome == DONE
    assert asked.microsoft.holds(ADELE)["grants"] == []


def test_whoever_connects_the_same_account_before_the_deletion_keeps_the_permission(
    two: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two permissions is gone by then, which is told."""
    alice = two.connected()
    honest, deleted = graph.delete_grant, list[str]()

    def delete(*args: Any) -> str:
        done = honest(*args)
        deleted.append(done)
        with two.app.app_context():
            two.sign_in("bob@northwind.example").connect(ADELE)
            db.session.rollback()
        return done

    monkeypatch.setattr(graph, "delete_grant", delete)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count, step.request_ids) == (LEFT_TO_YOU, 1, deleted)
    assert step.detail.startswith(
        "1 permission removed at Microsoft. Then another connection here began to use the same"
    )
    assert two.microsoft.holds(ADELE)["grants"]


def test_an_administrator_who_changes_their_mind_stops_it_at_once(two: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two deletions; what only the directory's administrator can take back is told all the same."""
    alice = two.connected()
    two.microsoft.desk("POST", f"accounts/{ADELE}/consent", scopes=["Calendars.ReadWrite"], tenant_wide=True)
    honest = graph.delete_grant

    def delete(*args: Any) -> str:
        done = honest(*args)
        with two.app.app_context():
            db.session.execute(update(Business).values(removes_grants=False))
            db.session.commit()
        return done

    monkeypatch.setattr(graph, "delete_grant", delete)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count) == (LEFT_TO_YOU, 1)
    assert step.detail.startswith("1 permission removed at Microsoft. Then your business stopped asking for that.")
    assert withdraw_consent.FOR_EVERYONE in step.detail
    assert len(two.microsoft.holds(ADELE)["grants"]) == 2


def test_whoever_shares_an_account_is_warned_also_when_the_time_is_over(world: World) -> None:
    """Microsoft let an earlier step wait in vain, so that this one is given up untried."""
    world.connected("bob@northwind.example")
    world.connected()
    connection = db.session.scalars(select(Connection).where(~BOB)).one()
    row = disconnect_workflow.begin(connection.id, connection.member_id)
    assert row is not None
    ended = withdraw_access.give_up_withdrawing(Work(row.id), "Microsoft is not answering.")
    assert "you can remove it. Another connection here uses the same account, and ends with it." in ended.detail
    db.session.rollback()


def disconnect_second(world: World, visitor: Visitor) -> DisconnectionStep:
    disconnect(world, visitor)
    found = db.session.query(DisconnectionStep).filter_by(name="withdraw_access", outcome=DONE).one()
    db.session.rollback()
    return found


@pytest.mark.parametrize("endpoint", ["grants", "token"])
def test_trouble_ends_at_the_deadline_and_leaves_it_to_the_person(asked: World, endpoint: str) -> None:
    alice = asked.connected()
    more = {"grant_type": "client_credentials"} if endpoint == "token" else {}
    asked.microsoft.breaks("status", endpoint, status=503, times=None, **more)
    step = disconnect(asked, alice)["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert "We have no word that our access was withdrawn; you can remove it." in step.detail
    assert "Any key that Microsoft gave the application itself" in step.detail, "each try may have been given one"
    assert step.attempts > 1


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_nothing_is_removed_where_the_receipt_says_that_microsoft_refused(asked: World, status: int) -> None:
    """Microsoft answers the first question, and refuses the second."""
    alice = asked.connected()
    refusal = {"status": status, "code": "Authorization_RequestDenied", "method": "GET"}
    asked.microsoft.breaks("status", "grants", **refusal, skip=1, times=None)
    step = disconnect(asked, alice)["withdraw_access"]
    assert (step.outcome, step.attempts) == (LEFT_TO_YOU, 1)
    assert "Microsoft refused" in step.detail
    assert len(asked.microsoft.holds(ADELE)["grants"]) == 1


# --- whose permission it is, and who relies on it ---------------------------------------------------------------------


@pytest.mark.parametrize("part", ["account_tenant", "account_subject"])
def test_an_account_is_the_same_only_in_both_parts(asked: World, part: str) -> None:
    """Somebody else of the same directory; and somebody of another one whom it happens to number alike."""
    alice = asked.connected()
    mine = asked.connection()
    same = getattr(mine, part)
    bobs = "admin@contoso.example" if part == "account_tenant" else MEGAN
    asked.connected("bob@northwind.example", account=bobs)
    db.session.execute(update(Connection).where(BOB).values({part: same}))
    db.session.commit()
    step = disconnect(asked, alice)["withdraw_access"]
    assert (step.outcome, step.count) == (DONE, 1)
    assert asked.microsoft.holds(ADELE)["grants"] == []
    assert len(asked.microsoft.holds(bobs)["grants"]) == 1


def test_a_connection_that_needs_attention_relies_on_the_permission_too(asked: World) -> None:
    """Who is asked to reconnect would else be asked for consent again, or be refused."""
    asked.connected("bob@northwind.example")
    bob = asked.connection()
    tokens.needs_attention(bob.id, bob.epoch, AccessReason.SIGN_IN_NEEDED)
    step = disconnect(asked, asked.connected())["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert "Another connection" in step.detail
    assert len(asked.microsoft.holds(ADELE)["grants"]) == 1


def test_a_connection_on_its_way_out_relies_on_nothing(asked: World) -> None:
    """Two people leave one account at the same time: the first run removes the permission."""
    asked.connected("bob@northwind.example")
    asked.connected()
    for each in db.session.scalars(select(Connection)).all():
        assert disconnect_workflow.begin(each.id, each.member_id) is not None
    asked.work()
    steps = db.session.scalars(select(DisconnectionStep).where(DisconnectionStep.name == "withdraw_access")).all()
    assert [(step.outcome, step.count) for step in steps] == [(DONE, 1), (DONE, 0)]
    assert asked.microsoft.holds(ADELE)["grants"] == []
    assert "Another connection" not in str([step.detail for step in steps])


def test_a_sign_in_that_was_never_finished_relies_on_nothing(asked: World) -> None:
    bob = asked.sign_in("bob@northwind.example")
    bob.get("/integrations/outlook-calendar")
    bob.press("Connect to Microsoft", follow=False)
    alice = asked.connected()
    assert db.session.scalar(select(Connection.state).where(BOB)) == "connecting"
    step = disconnect(asked, alice)["withdraw_access"]
    assert (step.outcome, step.count) == (DONE, 1)


def test_nobody_is_asked_about_a_personal_account(asked: World) -> None:
    """It has no directory in which the application could hold a right: the attempt would be refused, and told so."""
    step = disconnect(asked, asked.connected(account=MEGAN))["withdraw_access"]
    assert step.detail == withdraw_consent.BY_YOU
    assert step.request_ids == []
    assert not [call for call in asked.microsoft.calls() if "client_credentials" in str(call["body"])]


def test_a_permission_that_was_gone_already_is_not_told_as_removed(asked: World) -> None:
    alice = asked.connected()
    asked.microsoft.desk("POST", f"accounts/{ADELE}/withdraw")
    step = disconnect(asked, alice)["withdraw_access"]
    assert (step.outcome, step.count, step.request_ids) == (DONE, 0, [])
    assert step.detail.startswith("There was no permission of yours left at Microsoft.")
    assert "removed" not in step.detail


def test_no_transaction_is_open_while_microsoft_is_asked(asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite it would hold the one write lock, for as long as Microsoft takes."""
    alice = asked.connected()
    provider = parts().providers["outlook-calendar"]
    ask, open_meanwhile = provider.withdraw_consent, list[bool]()

    def watched(*args: Any, **more: Any) -> ConsentWithdrawal:
        open_meanwhile.append(db.session().in_transaction())
        return ask(*args, **more)

    monkeypatch.setattr(provider, "withdraw_consent", watched)
    assert disconnect(asked, alice)["withdraw_access"].outcome == DONE
    assert open_meanwhile == [False]


# --- several permissions of one person: one for each resource ---------------------------------------------------------


@pytest.fixture
def two(asked: World) -> World:
    """Adele, whom Alice connected, once consented to calendars through Exchange as well."""
    asked.microsoft.desk("POST", f"accounts/{ADELE}/consent", scopes=["Calendars.ReadWrite"], resource="exchange")
    return asked


def test_every_permission_of_the_person_is_removed(two: World) -> None:
    step = disconnect(two, two.connected())["withdraw_access"]
    assert (step.outcome, step.count, len(step.request_ids)) == (DONE, 2, 2)
    assert step.detail.startswith("2 permissions removed at Microsoft.")
    assert two.microsoft.holds(ADELE)["grants"] == []


@pytest.mark.parametrize("skip", [0, 1])
@pytest.mark.parametrize("status", [400, 403])
def test_what_was_removed_is_told_beside_what_was_refused(two: World, status: int, skip: int) -> None:
    alice = two.connected()
    refusal = {"status": status, "code": "Authorization_RequestDenied", "method": "DELETE"}
    two.microsoft.breaks("status", "grants", **refusal, skip=skip, times=None if skip else 1)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count, step.attempts) == (LEFT_TO_YOU, 1, 1)
    told = "1 permission removed at Microsoft. Microsoft refused to remove 1 permission more: that is left to you."
    assert step.detail.startswith(told)
    assert "missing" not in step.detail
    assert step.link.endswith("/myapps")
    assert len(two.microsoft.holds(ADELE)["grants"]) == 1
    assert set(step.request_ids) == deletions(two), "the references of both answers"


def test_who_approved_for_everyone_is_told_beside_a_refusal(two: World) -> None:
    alice = two.connected()
    two.microsoft.desk("POST", f"accounts/{ADELE}/consent", scopes=["Calendars.ReadWrite"], tenant_wide=True)
    two.microsoft.breaks("status", "grants", status=403, code="x", method="DELETE", skip=1)
    step = disconnect(two, alice)["withdraw_access"]
    assert step.detail.startswith("1 permission removed at Microsoft. Microsoft refused to remove 1 permission more")
    assert "only your administrator can take that back" in step.detail
    assert step.link.endswith("/myapps"), "the part that the person can do"


def test_where_all_are_refused_nothing_is_said_to_be_removed(two: World) -> None:
    alice = two.connected()
    two.microsoft.breaks("status", "grants", status=403, code="x", method="DELETE", times=None)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count, step.attempts) == (LEFT_TO_YOU, 0, 1)
    assert "Microsoft refused. Mostly that means" in step.detail
    assert "removed at Microsoft" not in step.detail
    assert set(step.request_ids) == deletions(two)


def test_an_outage_between_two_deletions_loses_neither(two: World) -> None:
    alice = two.connected()
    two.microsoft.breaks("status", "grants", status=503, code="x", method="DELETE", skip=1)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count, step.attempts) == (DONE, 2, 2)
    assert step.detail.startswith("2 permissions removed at Microsoft.")
    assert set(step.request_ids) == deletions(two, 204)


def test_a_refusal_after_an_outage_tells_what_the_first_try_removed(two: World) -> None:
    """The second try is refused when it looks, or when it deletes."""
    alice = two.connected()
    two.microsoft.breaks("status", "grants", status=503, code="x", method="DELETE", skip=1)
    two.microsoft.breaks("status", "grants", status=403, code="x", method="GET", skip=2, times=None)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count, step.attempts) == (LEFT_TO_YOU, 1, 2)
    assert step.detail.startswith("1 permission removed at Microsoft. Then Microsoft refused to let us go on.")
    assert deletions(two, 204) < set(step.request_ids)


def test_an_outage_that_lasts_still_tells_what_was_removed(two: World) -> None:
    alice = two.connected()
    two.microsoft.breaks("status", "grants", status=503, code="x", method="DELETE", skip=1, times=None)
    step = disconnect(two, alice)["withdraw_access"]
    assert (step.outcome, step.count) == (LEFT_TO_YOU, 1)
    assert "1 permission removed at Microsoft. We have no word that the rest was withdrawn" in step.detail
    assert deletions(two, 204) <= set(step.request_ids)


def deletions(world: World, *statuses: int) -> set[str]:
    """Microsoft's names for the deletions that it was asked for."""
    asked = [call for call in world.microsoft.calls() if call["method"] == "DELETE" and "Grants" in call["path"]]
    return {call["request_id"] for call in asked if not statuses or call["status"] in statuses}


def test_the_token_of_the_application_is_kept_nowhere(asked: World) -> None:
    disconnect(asked, asked.connected())
    calls = [call for call in asked.microsoft.calls() if call["path"].startswith("/v1.0/oauth2PermissionGrants")]
    assert calls, "it was used"
    held = asked.microsoft.holds(ADELE)["access_tokens"]
    assert held["living"] >= 1, "what was issued to us for Adele lapses by itself"
    text = " ".join(str(row) for table in db.metadata.sorted_tables for row in db.session.execute(table.select()))
    db.session.rollback()
    assert "eyJ" not in text, "no token in any table, sealed ones do not look like this"


def test_who_shares_an_account_is_warned_before_removing_the_permission(world: World) -> None:
    """Nobody asked us to remove it; the person, led to Microsoft's page, would end the other connection too."""
    world.connected("bob@northwind.example")
    step = disconnect(world, world.connected())["withdraw_access"]
    assert step.outcome == LEFT_TO_YOU
    assert "Another connection" in step.detail


def test_a_kill_after_the_deletion_does_not_make_it_nobody_s(asked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft's answer reached a process that died before it wrote anything down."""
    asked.connected()
    connection = asked.connection()
    begun = disconnect_workflow.begin(connection.id, connection.member_id)
    assert begun is not None
    row_id = begun.id
    db.session.rollback()
    with monkeypatch.context() as until_the_kill, pytest.raises(KeyboardInterrupt):
        until_the_kill.setattr(carry_out, "_note_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        carry_out.attempt("withdraw_access", row_id)
    db.session.rollback()
    asked.work()
    step = db.session.query(DisconnectionStep).filter_by(name="withdraw_access").one()
    assert (step.outcome, step.count) == (DONE, 0)
    assert "An earlier try of ours may have removed it." in step.detail
    db.session.rollback()

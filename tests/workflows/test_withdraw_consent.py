"""Withdrawing the permission itself, where the business's admin asked for it and where nobody did."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from portal.db import db
from portal.models import Business, DisconnectionStep, Token
from portal.models.disconnection_step import DONE, EXPIRES, LEFT_TO_YOU
from tests.world import CLIENT_ID, Visitor, World

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"
APPLICATION = f"tenants/contoso.example/applications/{CLIENT_ID}"
RIGHT = "DelegatedPermissionGrant.ReadWrite.All"


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

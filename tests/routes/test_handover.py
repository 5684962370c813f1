"""What the confirmation page gives to be handed on to an administrator, and when."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import update

from portal.db import db
from portal.models import Business
from tests.walker import Walker
from tests.world import CLIENT_ID, Visitor, World

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"


def receipt(world: World, account: str) -> BeautifulSoup:
    """Alice's confirmation page after disconnecting this account, checked."""
    alice = world.connected(account=account)
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    alice.client = Walker(alice.client)  # type: ignore[assignment]
    return alice.get(f"/disconnections/{world.disconnection().id}")


def text(page: BeautifulSoup, name: str) -> str:
    field = page.find("textarea", id=name)
    assert field is not None
    assert field.has_attr("readonly")
    return field.get_text()


def test_it_works(world: World) -> None:
    page = receipt(world, ADELE)
    part = page.find(id="handover")
    assert part is not None
    words = part.get_text(" ", strip=True)
    assert "You , if you allowed Coordinoter yourself" in words
    assert "Your administrator , if your organisation approved Coordinoter for everyone" in words
    assert CLIENT_ID in text(page, "handover-message")
    assert "Remove-MgOauth2PermissionGrant" in text(page, "handover-powershell")
    assert f"appId='{CLIENT_ID}'" in text(page, "handover-requests")
    for address in (ADELE, "Adele"):
        assert address not in str(part), "we no longer know whose account it was"


def test_a_personal_account_has_no_administrator(world: World) -> None:
    assert receipt(world, MEGAN).find(id="handover") is None


@pytest.mark.parametrize("tenant_wide", [False, True])
def test_where_we_removed_it_only_what_is_left_is_handed_on(world: World, tenant_wide: bool) -> None:
    db.session.execute(update(Business).values(removes_grants=True))
    db.session.commit()
    world.microsoft.desk(
        "PATCH",
        f"tenants/contoso.example/applications/{CLIENT_ID}",
        app_roles=["DelegatedPermissionGrant.ReadWrite.All"],
    )
    if tenant_wide:
        scopes = ["openid", "profile", "offline_access", "User.Read", "Calendars.ReadWrite"]
        world.microsoft.desk("POST", f"accounts/{ADELE}/consent", scopes=scopes, tenant_wide=True)
    page = receipt(world, ADELE)
    part = page.find(id="handover")
    assert (part is not None) == tenant_wide
    if part is not None:
        words = part.get_text(" ", strip=True)
        assert "if you allowed Coordinoter yourself" not in words, "that permission is gone"
        assert "Your administrator , as your organisation approved Coordinoter for everyone" in words
        assert "Only your administrator can do this" in page.get_text()


def test_the_signed_receipt_names_no_line_of_it(world: World) -> None:
    receipt(world, ADELE)
    alice: Visitor = world.sign_in("alice@northwind.example")
    body = alice.client.get(f"/disconnections/{world.disconnection().id}/receipt.json").text
    assert "Remove-Mg" not in body

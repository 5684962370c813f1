"""Consent beyond the consent page: administrators, their links, and taking it back."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from .conftest import CALLBACK, Browser, Desk, Graph, Page


def admin_link(browser: Browser, tenant: str = "wingtip.example", **more: str) -> Page:
    query = {"client_id": browser.config.client_id, "redirect_uri": CALLBACK, "state": "a state", **more}
    return browser.send("get", f"/{tenant}/v2.0/adminconsent?{urlencode(query)}")


def test_it_works(browser: Browser, desk: Desk) -> None:
    page = admin_link(browser).press("admin@wingtip.example")
    assert "for every account at Wingtip Toys" in page.text
    told = page.press("Accept").returned
    assert told["admin_consent"] == "True"
    assert told["tenant"] == "66666666-7777-4888-9999-000000000000"
    assert told["state"] == "a state"
    assert "code" not in told
    grant = desk.account("ravi@wingtip.example")["grants"][0]
    assert grant["tenant_wide"] and "Calendars.ReadWrite" in grant["scopes"]
    assert browser.connect("ravi@wingtip.example", prompt="login")["access_token"]


def test_only_an_administrator_can_follow_the_link(browser: Browser, desk: Desk) -> None:
    page = admin_link(browser).press("ravi@wingtip.example")
    assert page.answer.status_code == 403
    assert desk.account("ravi@wingtip.example")["grants"] == []


def test_the_link_names_its_scopes_and_can_be_cancelled(browser: Browser) -> None:
    scope = "https://graph.microsoft.com/Calendars.Read"
    page = admin_link(browser, scope=scope).press("admin@wingtip.example")
    assert "Read your calendars" in page.text and "Read and change" not in page.text
    told = page.press("Cancel").returned
    assert (told["error"], told["admin_consent"]) == ("access_denied", "True")
    assert "AADSTS50011" in admin_link(browser, redirect_uri="https://evil.example/").text


def test_a_request_can_be_sent_to_the_admin(browser: Browser, desk: Desk) -> None:
    desk("PATCH", "tenants/wingtip.example", consent="workflow")
    page = browser.authorize().press("ravi@wingtip.example")
    assert "Approval required" in page.text
    sent = page.press("Request approval", reason="For my meetings")
    assert "Request sent" in sent.text
    told = sent.press("Back to the application").returned
    assert told["error"] == "access_denied"
    assert told["error_description"].startswith("AADSTS90095")
    assert desk("GET", "state")["approval_requests"][0]["reason"] == "For my meetings"


def test_the_policy_can_be_changed(browser: Browser, desk: Desk) -> None:
    desk("PATCH", "tenants/contoso.example", consent="default")
    assert "Need admin approval" in browser.authorize().press("adele@contoso.example").text
    basic = browser.authorize(scope="openid User.Read", prompt="login").press("adele@contoso.example")
    assert "Accept" in basic.buttons


def test_earlier_consents_survive_a_stricter_policy(browser: Browser, desk: Desk) -> None:
    browser.connect("adele@contoso.example")
    desk("PATCH", "tenants/contoso.example", consent="default")
    assert "code" in browser.authorize(prompt="none").returned


@pytest.mark.parametrize(
    ("address", "path", "button", "code"),
    [
        ("adele@contoso.example", "/myapps", "Revoke permissions", 65001),
        ("megan@outlook.example", "/consent/Manage", "Remove these permissions", 70000),
    ],
)
def test_a_person_withdraws_access_by_hand(
    browser: Browser, desk: Desk, address: str, path: str, button: str, code: int
) -> None:
    token = browser.connect(address)["refresh_token"]
    page = browser.send("get", path)
    assert "Coordinoter" in page.text
    done = page.press(f"{button} of Coordinoter for {address}")
    assert done.answer.status_code == 303
    assert "No application has access" in browser.send("get", path).text
    assert desk.account(address)["grants"] == []
    assert browser.refresh(token).json()["error_codes"] == [code]


def test_by_hand_all_of_an_application_goes_together(browser: Browser, desk: Desk) -> None:
    """Whatever the resource; but what the administrator granted for everybody stays."""
    browser.connect("adele@contoso.example")
    adele = "accounts/adele@contoso.example"
    desk("POST", f"{adele}/consent", scopes=["Calendars.ReadWrite"], resource="exchange")
    desk("POST", f"{adele}/consent", scopes=["Calendars.ReadWrite"], resource="exchange", tenant_wide=True)
    browser.send("get", "/myapps").press("Revoke permissions of Coordinoter for adele@contoso.example")
    assert [grant["tenant_wide"] for grant in desk.account("adele@contoso.example")["grants"]] == [True]


def test_what_the_admin_granted_cannot_be_withdrawn_by_hand(browser: Browser, desk: Desk) -> None:
    desk("POST", "accounts/ravi@wingtip.example/consent", scopes=["Calendars.ReadWrite"], tenant_wide=True)
    page = browser.send("get", "/myapps").press("ravi@wingtip.example")
    page = browser.send("get", "/myapps")
    assert "You cannot revoke them here" in page.text
    assert not [name for name in page.buttons if name.startswith("Revoke")]
    key = desk.account("ravi@wingtip.example")["grants"][0]["id"]
    browser.send("post", "/myapps", {"revoke": key})
    assert len(desk.account("ravi@wingtip.example")["grants"]) == 1


def test_nobody_withdraws_for_somebody_else(browser: Browser, desk: Desk) -> None:
    browser.connect("adele@contoso.example")
    key = desk.account("adele@contoso.example")["grants"][0]["id"]
    Browser(browser.url, browser.config).send("post", "/myapps", {"revoke": key})
    assert len(desk.account("adele@contoso.example")["grants"]) == 1


def test_access_tokens_live_on_after_the_consent(browser: Browser, desk: Desk) -> None:
    graph = Graph(browser.url, browser.connect("adele@contoso.example")["access_token"])
    desk("POST", "accounts/adele@contoso.example/withdraw")
    assert graph.get("me/calendars")["value"]
    assert desk.account("adele@contoso.example")["access_tokens"]["living"] == 1


def test_default_scope_means_what_the_registration_declares(browser: Browser) -> None:
    told = browser.connect("adele@contoso.example", scope="openid offline_access https://graph.microsoft.com/.default")
    assert {"https://graph.microsoft.com/Calendars.ReadWrite", "https://graph.microsoft.com/User.Read"} <= set(
        told["scope"].split()
    )

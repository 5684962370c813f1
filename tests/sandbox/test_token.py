"""The token endpoint: codes, PKCE, refreshing, and Entra's way of saying no."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
import requests

from .conftest import CALLBACK, SCOPE, Browser, Desk, claims, pkce


def code_for(browser: Browser, address: str = "adele@contoso.example", **more: str) -> str:
    page = browser.authorize(**more)
    if address in page.buttons:
        page = page.press(address)
    return (page.press("Accept") if "Accept" in page.buttons else page).returned["code"]


def refused(told: requests.Response, error: str, code: int, status: int = 400) -> dict[str, Any]:
    body: dict[str, Any] = told.json()
    assert (told.status_code, body["error"], body["error_codes"]) == (status, error, [code]), body
    return body


def test_it_works(browser: Browser) -> None:
    told = browser.connect("adele@contoso.example")
    assert told["token_type"] == "Bearer"
    assert 3600 <= told["expires_in"] < 5400
    assert told["ext_expires_in"] >= told["expires_in"]
    assert {"Calendars.ReadWrite", "User.Read", "openid", "profile", "email"} == set(told["scope"].split())
    assert told["refresh_token"]
    assert claims(told["id_token"])["nonce"] == "a nonce"


def test_an_error_is_told_the_way_entra_does(browser: Browser) -> None:
    told = browser.redeem("no such code", client_info="1")
    body = refused(told, "invalid_grant", 70000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", body["timestamp"])
    assert body["error_description"].startswith("AADSTS70000: ")
    assert body["error_description"].split("\r\n")[1] == f"Trace ID: {body['trace_id']}"
    assert body["correlation_id"] in body["error_description"]
    assert told.headers["Cache-Control"].startswith("no-store")


def test_a_code_is_good_once(browser: Browser) -> None:
    code = code_for(browser)
    assert browser.redeem(code).status_code == 200
    assert "error_uri" in refused(browser.redeem(code), "invalid_grant", 54005)


def test_a_code_is_good_for_ten_minutes(browser: Browser, desk: Desk) -> None:
    code = code_for(browser)
    desk("POST", "clock", advance_seconds=601)
    refused(browser.redeem(code), "invalid_grant", 70008)


def test_a_code_belongs_to_its_redirect_uri(browser: Browser) -> None:
    code = code_for(browser)
    other = CALLBACK.replace("127.0.0.1", "localhost")
    told = browser.token(grant_type="authorization_code", code=code, redirect_uri=other)
    refused(told, "invalid_client", 500112, 401)


def test_a_code_belongs_to_its_tenant(browser: Browser) -> None:
    refused(browser.redeem(code_for(browser), "wingtip.example"), "invalid_grant", 700005)
    assert browser.redeem(code_for(browser), "contoso.example").status_code == 200


@pytest.mark.parametrize("method", ["S256", "plain", ""])
def test_pkce_is_enforced(browser: Browser, method: str) -> None:
    verifier, challenge = pkce()
    sent = {"code_challenge": challenge if method == "S256" else verifier, "code_challenge_method": method}
    sent = {key: value for key, value in sent.items() if value}
    refused(browser.redeem(code_for(browser, **sent)), "invalid_grant", 501481)
    refused(browser.redeem(code_for(browser, **sent), code_verifier="y" * 43), "invalid_grant", 501481)
    refused(browser.redeem(code_for(browser, **sent), code_verifier="tiny"), "invalid_grant", 50147)
    assert browser.redeem(code_for(browser, **sent), code_verifier=verifier).status_code == 200


def test_a_verifier_without_a_challenge_is_refused(browser: Browser) -> None:
    refused(browser.redeem(code_for(browser), code_verifier="z" * 43), "invalid_grant", 501481)


def test_the_secret_must_be_right(browser: Browser) -> None:
    refused(browser.redeem(code_for(browser), client_secret="wrong"), "invalid_client", 7000215, 401)
    refused(browser.redeem(code_for(browser), client_secret=""), "invalid_client", 7000218, 401)
    refused(browser.redeem("x", client_id="nobody"), "unauthorized_client", 700016)


def test_the_secret_can_come_in_the_header(browser: Browser) -> None:
    pair = f"{browser.config.client_id}:{browser.config.client_secret}".encode()
    told = requests.post(
        f"{browser.url}/common/oauth2/v2.0/token",
        data={"grant_type": "authorization_code", "code": code_for(browser), "redirect_uri": CALLBACK},
        headers={"Authorization": f"Basic {base64.b64encode(pair).decode()}"},
        timeout=30,
    )
    assert told.status_code == 200


def test_the_secret_can_expire(browser: Browser, desk: Desk) -> None:
    desk("PATCH", f"applications/{browser.config.client_id}", secret_expired=True)
    refused(browser.redeem(code_for(browser)), "invalid_client", 7000222, 401)


def test_a_browser_must_not_send_the_secret(browser: Browser) -> None:
    told = requests.post(
        f"{browser.url}/common/oauth2/v2.0/token",
        data={"client_id": browser.config.client_id, "client_secret": browser.config.client_secret},
        headers={"Origin": "https://app.example"},
        timeout=30,
    )
    refused(told, "invalid_request", 9002326)


def test_refreshing_rotates_and_leaves_the_old_token_alive(browser: Browser, desk: Desk) -> None:
    first = browser.connect("adele@contoso.example")["refresh_token"]
    second = browser.refresh(first).json()["refresh_token"]
    assert second != first
    assert browser.refresh(first).status_code == 200
    assert browser.refresh(second).status_code == 200
    assert desk.account("adele@contoso.example")["refresh_tokens"]["living"] == 4


def test_without_offline_access_there_is_no_refresh_token(browser: Browser) -> None:
    code = code_for(browser, scope="openid Calendars.Read")
    told = browser.redeem(code).json()
    assert "refresh_token" not in told and "id_token" in told


def test_without_openid_there_is_no_id_token(browser: Browser) -> None:
    assert "id_token" not in browser.redeem(code_for(browser, scope="offline_access Calendars.Read")).json()


def test_a_refresh_token_ends_after_ninety_idle_days(browser: Browser, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    desk("POST", "clock", advance_seconds=89 * 86400)
    assert browser.refresh(token).status_code == 200
    desk("POST", "clock", advance_seconds=91 * 86400)
    refused(browser.refresh(token), "invalid_grant", 700082)


def test_withdrawn_consent_is_told_per_account_kind(browser: Browser, desk: Desk) -> None:
    work = browser.connect("adele@contoso.example")["refresh_token"]
    home = browser.connect("megan@outlook.example", prompt="select_account")["refresh_token"]
    for address in ("adele@contoso.example", "megan@outlook.example"):
        assert desk("POST", f"accounts/{address}/withdraw") == {"withdrawn": 1}
        assert desk.account(address)["refresh_tokens"] == {"living": 0, "dead": 1, "last_used": None}
    assert refused(browser.refresh(work), "invalid_grant", 65001)["suberror"] == "consent_required"
    assert browser.refresh(home).json()["error"] == "invalid_grant"


def test_what_happens_to_a_person_is_told(browser: Browser, desk: Desk) -> None:
    at = "accounts/adele@contoso.example"
    token = browser.connect("adele@contoso.example")["refresh_token"]
    desk("PATCH", at, sign_in_problem=50076)
    refused(browser.refresh(token), "interaction_required", 50076)
    desk("PATCH", at, sign_in_problem=None, enabled=False)
    refused(browser.refresh(token), "invalid_grant", 50057)
    desk("PATCH", at, enabled=True)
    desk("POST", f"{at}/password", by="person")
    assert browser.refresh(token).status_code == 200
    desk("POST", f"{at}/revoke-sessions")
    refused(browser.refresh(token), "invalid_grant", 50173)


def test_the_application_can_be_switched_off_in_a_tenant(browser: Browser, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    desk("PATCH", f"tenants/contoso.example/applications/{browser.config.client_id}", enabled=False)
    refused(browser.refresh(token), "unauthorized_client", 7000112)


def test_scopes_can_be_withheld(browser: Browser, desk: Desk) -> None:
    desk("PATCH", "accounts/adele@contoso.example", withheld=["Calendars.ReadWrite"])
    assert "Calendars.ReadWrite" not in browser.connect("adele@contoso.example")["scope"].split()


def test_scopes_are_spelt_as_they_were_asked_for(browser: Browser) -> None:
    told = browser.redeem(code_for(browser), scope=f"{browser.url}/Calendars.ReadWrite openid").json()
    assert f"{browser.url}/Calendars.ReadWrite" in told["scope"].split()
    told = browser.refresh(told["refresh_token"], scope="https://graph.microsoft.com/User.Read").json()
    assert "https://graph.microsoft.com/User.Read" in told["scope"].split()


def test_a_refresh_cannot_widen_the_consent(browser: Browser) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    refused(browser.refresh(token, scope="Mail.Read"), "invalid_grant", 65001)


def test_client_info_comes_on_request(browser: Browser) -> None:
    info = browser.redeem(code_for(browser), client_info="1").json()["client_info"]
    read = base64.urlsafe_b64decode(info + "=" * (-len(info) % 4))
    assert b'"utid":"11111111-2222-4333-8444-555555555555"' in read


def test_the_id_token_says_who_it_is(browser: Browser) -> None:
    work = claims(browser.connect("adele@contoso.example")["id_token"])
    assert work["iss"] == f"{browser.url}/11111111-2222-4333-8444-555555555555/v2.0"
    assert (work["ver"], work["preferred_username"]) == ("2.0", "adele@contoso.example")
    home = claims(browser.connect("megan@outlook.example", prompt="select_account")["id_token"])
    assert home["tid"] == "9188040d-6c67-4c5b-b112-36a304b66dad"
    assert home["oid"].startswith("00000000-0000-0000-")
    assert home["sub"] != work["sub"]


def test_a_personal_access_token_is_no_jwt(browser: Browser) -> None:
    assert "." not in browser.connect("megan@outlook.example")["access_token"]


def test_other_grants_are_not_supported(browser: Browser) -> None:
    refused(browser.token(grant_type="password", username="x", password="y"), "unsupported_grant_type", 70003)
    refused(browser.token(), "invalid_request", 900144)


def test_fewer_scopes_give_less(browser: Browser) -> None:
    told = browser.connect("megan@outlook.example", scope=SCOPE)
    less = browser.refresh(told["refresh_token"], scope="User.Read").json()
    assert set(less["scope"].split()) & {"Calendars.ReadWrite"} == set()

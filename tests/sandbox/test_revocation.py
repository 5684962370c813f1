"""Revocation, where the desk ordered it: what it ends, and whose; Microsoft has none."""

from __future__ import annotations

from typing import Any

import requests

from .conftest import Browser, Desk, Graph

ADELE = "adele@contoso.example"


def revoke(browser: Browser, token: str, **more: str) -> requests.Response:
    client = {"client_id": browser.config.client_id, "client_secret": browser.config.client_secret}
    data = {"token": token, **client, **more}
    return requests.post(f"{browser.url}/common/oauth2/v2.0/revoke", data=data, timeout=30)


def holds(desk: Desk) -> tuple[Any, Any]:
    held = desk.account(ADELE)
    return held["refresh_tokens"]["living"], held["access_tokens"]["living"]


def test_it_works(browser: Browser, desk: Desk) -> None:
    desk("POST", "revocation", offered=True)
    told = requests.get(f"{browser.url}/common/v2.0/.well-known/openid-configuration", timeout=30).json()
    assert told["revocation_endpoint"] == f"{browser.url}/common/oauth2/v2.0/revoke"
    tokens = browser.connect(ADELE)
    assert holds(desk) == (1, 1)
    answer = revoke(browser, tokens["refresh_token"], token_type_hint="refresh_token")
    assert (answer.status_code, answer.content) == (200, b"")
    assert holds(desk) == (0, 0), "access tokens end with the refresh token"
    assert Graph(browser.url, tokens["access_token"])("GET", "me").status_code == 401


def test_an_access_token_ends_alone(browser: Browser, desk: Desk) -> None:
    desk("POST", "revocation", offered=True)
    tokens = browser.connect(ADELE)
    assert revoke(browser, tokens["access_token"]).status_code == 200
    assert holds(desk) == (1, 0)


def test_what_is_not_known_is_revoked_as_it_is(browser: Browser, desk: Desk) -> None:
    desk("POST", "revocation", offered=True)
    browser.connect(ADELE)
    assert revoke(browser, "nobody's").status_code == 200
    assert holds(desk) == (1, 1)


def test_it_takes_the_application_and_a_token(browser: Browser, desk: Desk) -> None:
    desk("POST", "revocation", offered=True)
    tokens = browser.connect(ADELE)
    wrong = revoke(browser, tokens["refresh_token"], client_secret="wrong")
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
    assert revoke(browser, "").status_code == 400
    assert holds(desk) == (1, 1)


def test_microsoft_has_none(browser: Browser, desk: Desk) -> None:
    tokens = browser.connect(ADELE)
    assert revoke(browser, tokens["refresh_token"]).status_code == 404
    desk("POST", "revocation", offered=True)
    desk("POST", "reset")
    assert revoke(browser, tokens["refresh_token"]).status_code == 404

"""Throttling, claims challenges, and the many spellings of an address."""

from __future__ import annotations

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from portal.sandbox.server import Server

from .conftest import Browser, Desk, Graph

CP1 = json.dumps({"access_token": {"xms_cc": {"values": ["cp1"]}}})


def test_it_works(graph: Graph, desk: Desk) -> None:
    desk("POST", "faults", kind="delay", path="/v1.0/me/calendars", delay=1.0, times=4)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: graph("GET", "me/calendars"), range(8)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses.count(200) >= 4 and statuses[-1] == 429
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["error"]["code"] == "ApplicationThrottled"
    assert "MailboxConcurrency" in refused.json()["error"]["message"]
    assert float(refused.headers["Retry-After"]) > 0
    assert graph("GET", "me/calendars").status_code == 200


def test_another_mailbox_is_not_concerned(graph: Graph, desk: Desk, browser: Browser) -> None:
    megan = Graph(graph.url, browser.connect("megan@outlook.example", prompt="select_account")["access_token"])
    desk("POST", "faults", kind="delay", path="/v1.0/me/calendars", delay=1.5, times=4, account="adele@contoso.example")
    with ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(graph, "GET", "me/calendars") for _ in range(4)]
        assert megan("GET", "me/calendars").status_code == 200
        assert [each.result().status_code for each in slow] == [200] * 4


def test_ten_thousand_requests_in_ten_minutes_are_enough(graph: Graph, server: Server, desk: Desk) -> None:
    graph.get("me/calendars")
    recent = next(iter(server.storage.recent.values()))
    recent.extend([recent[0]] * 9_999)
    refused = graph("GET", "me/calendars")
    assert refused.status_code == 429
    assert re.fullmatch(r"\d+\.\d+", refused.headers["Retry-After"])
    assert 0 < float(refused.headers["Retry-After"]) <= timedelta(minutes=10).total_seconds()
    desk("POST", "clock", advance_seconds=601)
    assert graph("GET", "me/calendars").status_code == 200


def test_a_client_that_declared_cp1_is_challenged(browser: Browser, desk: Desk) -> None:
    refresh = browser.connect("adele@contoso.example")["refresh_token"]
    plain = Graph(browser.url, browser.refresh(refresh).json()["access_token"])
    told = browser.refresh(refresh, claims=CP1).json()
    assert told["expires_in"] == 28 * 3600 and told["refresh_in"] == 14 * 3600
    able = Graph(browser.url, told["access_token"])
    assert able("GET", "me").status_code == 200
    desk("POST", "accounts/adele@contoso.example/revoke-sessions")
    answer = able("GET", "me")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
    header = answer.headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in header
    found = re.search(r'claims="([^"]+)"', header)
    assert found is not None
    assert "nbf" in json.loads(base64.b64decode(found[1]))["access_token"]
    assert "TokenIssuedBeforeRevocationTimestamp" in answer.json()["error"]["message"]
    assert plain("GET", "me").status_code == 200


def test_a_challenge_can_be_ordered_and_met(browser: Browser, desk: Desk) -> None:
    told = browser.connect("adele@contoso.example")
    wanted = json.dumps({"access_token": {"acrs": {"essential": True, "value": "c1"}}})
    desk("PATCH", "accounts/adele@contoso.example", challenge=wanted)
    assert Graph(browser.url, told["access_token"])("GET", "me").status_code == 401
    again = browser.refresh(told["refresh_token"], claims=wanted).json()["access_token"]
    assert Graph(browser.url, again)("GET", "me").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "me/calendarview",
        "ME/calendarView",
        "users/adele@contoso.example/calendarView",
        "users('adele@contoso.example')/calendarView",
        "users/ade1e000-0000-4000-8000-000000000001/calendarView",
        "/me//calendarView",
    ],
)
def test_an_address_may_be_spelt_in_many_ways(graph: Graph, path: str) -> None:
    window = "startDateTime=2026-01-01T00:00:00Z&endDateTime=2026-02-01T00:00:00Z"
    assert graph("GET", f"{path}?{window}").status_code == 200


def test_keys_may_stand_in_brackets(graph: Graph) -> None:
    key = graph.get("me/calendar")["id"]
    assert graph.get(f"me/calendars('{key}')")["id"] == key


def test_somebody_elses_mailbox_is_refused(graph: Graph) -> None:
    answer = graph("GET", "users/megan@outlook.example/calendars")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")


def test_unknown_addresses_get_graphs_error(graph: Graph) -> None:
    answer = graph("GET", "me/nonsense")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")
    assert graph("PUT", "me/calendars").status_code == 405


def test_ids_can_be_translated(graph: Graph, desk: Desk) -> None:
    stored = desk("GET", "accounts/adele@contoso.example/events")[0]
    body = {"inputIds": [stored["id"], "none"], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"}
    told = graph("POST", "me/translateExchangeIds", json=body).json()["value"]
    assert told == [{"sourceId": stored["id"], "targetId": stored["immutable_id"]}]

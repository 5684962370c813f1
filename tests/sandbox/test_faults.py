"""Misfortunes ordered at the desk: each kind, and how an order is narrowed down."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from .conftest import Browser, Desk, Graph
from .test_events import event


def order(desk: Desk, kind: str, **more: Any) -> str:
    return str(desk("POST", "faults", kind=kind, **{"endpoint": "calendars", **more})["id"])


def test_it_works(graph: Graph, desk: Desk) -> None:
    order(desk, "status", status=503)
    answer = graph("GET", "me/calendars")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "serviceNotAvailable")
    assert graph("GET", "me/calendars").status_code == 200
    assert desk("GET", "calls?path=/v1.0/me/calendars")[-2]["fault"] == "status"


def test_the_code_can_be_chosen(graph: Graph, desk: Desk) -> None:
    order(desk, "status", status=404, code="MailboxNotEnabledForRESTAPI")
    assert graph("GET", "me/calendars").json()["error"]["code"] == "MailboxNotEnabledForRESTAPI"


def test_the_token_endpoint_fails_the_way_entra_does(browser: Browser, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    order(desk, "status", endpoint="token", status=400, aadsts=50076, suberror="basic_action")
    told = browser.refresh(token)
    assert told.status_code == 400
    assert (told.json()["error"], told.json()["suberror"]) == ("interaction_required", "basic_action")
    assert told.json()["error_codes"] == [50076]


@pytest.mark.parametrize("retry_after", ["2.128", "7", None])
def test_throttling_with_and_without_a_time(graph: Graph, desk: Desk, retry_after: str | None) -> None:
    order(desk, "throttle", retry_after=retry_after)
    answer = graph("GET", "me/calendars")
    assert answer.status_code == 429
    assert answer.headers.get("Retry-After") == retry_after


def test_a_delay_comes_before_the_true_answer(graph: Graph, desk: Desk) -> None:
    order(desk, "delay", delay=0.4)
    started = time.monotonic()
    assert graph("GET", "me/calendars").status_code == 200
    assert time.monotonic() - started >= 0.4


def test_a_dropped_request_was_not_carried_out(graph: Graph, desk: Desk) -> None:
    order(desk, "drop", endpoint="events")
    with pytest.raises(requests.ConnectionError):
        graph("POST", "me/events", json=event())
    assert desk("GET", "accounts/adele@contoso.example/events?subject=Kick-off") == []


def test_a_dropped_answer_was_carried_out(graph: Graph, desk: Desk) -> None:
    order(desk, "drop_after", endpoint="events")
    with pytest.raises(requests.ConnectionError):
        graph("POST", "me/events", json=event())
    assert len(desk("GET", "accounts/adele@contoso.example/events?subject=Kick-off")) == 1


def test_half_an_answer(graph: Graph, desk: Desk) -> None:
    order(desk, "half")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        graph("GET", "me/calendars")


@pytest.mark.parametrize("kind", ["half", "drop_after"])
def test_an_answer_without_a_body_breaks_off_too(graph: Graph, desk: Desk, kind: str) -> None:
    made = graph("POST", "me/events", json=event()).json()
    order(desk, kind, endpoint="events", method="DELETE")
    with pytest.raises(requests.ConnectionError):
        graph("DELETE", f"me/events/{made['id']}")
    assert desk("GET", "accounts/adele@contoso.example/events?subject=Kick-off") == [], "it was carried out"
    deleted = next(each for each in desk("GET", "calls") if each["method"] == "DELETE")
    assert (deleted["status"], deleted["fault"]) == (204, kind)
    assert graph("DELETE", f"me/events/{made['id']}").status_code == 404


def test_bodies_that_are_not_what_they_should_be(graph: Graph, desk: Desk) -> None:
    order(desk, "not_json")
    answer = graph("GET", "me/calendars")
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    order(desk, "wrong_json")
    assert isinstance(graph("GET", "me/calendars").json(), list)
    order(desk, "wrong_json", body={"value": 7})
    assert graph("GET", "me/calendars").json() == {"value": 7}
    order(desk, "empty")
    assert graph("GET", "me/calendars").content == b""
    order(desk, "content_type")
    answer = graph("GET", "me/calendars")
    assert answer.headers["Content-Type"].startswith("text/html") and answer.json()["value"]


def test_a_body_without_an_end(graph: Graph, desk: Desk) -> None:
    order(desk, "endless")
    with graph("GET", "me/calendars", stream=True) as answer:
        read = 0
        for chunk in answer.iter_content(65536):
            read += len(chunk)
            if read > 3_000_000:
                break
    assert read > 3_000_000


def test_a_slow_drip(graph: Graph, desk: Desk) -> None:
    order(desk, "drip", endpoint="me", delay=0.001)
    with graph("GET", "me", stream=True) as answer:
        first = next(answer.iter_content(1))
        assert first == b"{"
        assert len(answer.raw.read()) > 100


def test_a_redirect_to_another_host(graph: Graph, desk: Desk) -> None:
    order(desk, "redirect", location="http://127.0.0.1:9/stolen")
    answer = graph("GET", "me/calendars", allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://127.0.0.1:9/stolen")


def test_an_order_can_be_narrowed_down(browser: Browser, graph: Graph, desk: Desk) -> None:
    megan = Graph(graph.url, browser.connect("megan@outlook.example", prompt="select_account")["access_token"])
    order(desk, "status", account="megan@outlook.example", times=None)
    assert graph("GET", "me/calendars").status_code == 200
    assert megan("GET", "me/calendars").status_code == 503
    desk("DELETE", "faults")
    order(desk, "status", method="POST", endpoint="events")
    assert graph("GET", "me/events").status_code == 200
    assert graph("POST", "me/events", json=event()).status_code == 503
    order(desk, "status", skip=2, times=1)
    assert [graph("GET", "me/calendars").status_code for _ in range(4)] == [200, 200, 503, 200]


def test_an_order_can_be_taken_back(graph: Graph, desk: Desk) -> None:
    key = order(desk, "status", times=None)
    assert graph("GET", "me/calendars").status_code == 503
    assert desk("GET", "faults")[0]["met"] == 1
    desk("DELETE", f"faults/{key}")
    assert graph("GET", "me/calendars").status_code == 200


def test_only_refreshing_can_be_broken(browser: Browser, desk: Desk) -> None:
    order(desk, "status", endpoint="token", grant_type="refresh_token", aadsts=7000215, status=401)
    token = browser.connect("adele@contoso.example")["refresh_token"]
    assert browser.refresh(token).json()["error_codes"] == [7000215]


@pytest.mark.parametrize(
    "wrong", [{"kind": "earthquake"}, {"kind": "status", "endpoint": "moon"}, {"kind": "status", "x": 1}]
)
def test_nonsense_is_refused(desk: Desk, wrong: dict[str, Any]) -> None:
    told = requests.post(f"{desk.url}/desk/api/faults", json=wrong, timeout=30)
    assert told.status_code == 400
    assert told.json()["error"]

"""Several requests in one."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Desk, Graph
from .test_events import event


def send(graph: Graph, *requests: dict[str, Any]) -> dict[str, Any]:
    answer = graph("POST", "$batch", json={"requests": list(requests)})
    assert answer.status_code == 200, answer.text
    return {told["id"]: told for told in answer.json()["responses"]}


def get(key: str, url: str, **more: Any) -> dict[str, Any]:
    return {"id": key, "method": "GET", "url": url, **more}


def test_it_works(graph: Graph) -> None:
    made = {
        "id": "2",
        "method": "POST",
        "url": "/me/events",
        "headers": {"Content-Type": "application/json"},
        "body": event(),
    }
    told = send(graph, get("1", "/me"), made, get("3", "me/events/none"), get("4", "/me/calendars?$top=1"))
    assert {key: each["status"] for key, each in told.items()} == {"1": 200, "2": 201, "3": 404, "4": 200}
    assert told["1"]["body"]["displayName"] == "Adele Vance"
    assert told["2"]["body"]["subject"] == "Kick-off"
    assert told["3"]["body"]["error"]["code"] == "ErrorItemNotFound"
    assert len(told["4"]["body"]["value"]) == 1


def test_many_events_are_deleted_at_once(graph: Graph, desk: Desk) -> None:
    keys = desk("POST", "accounts/adele@contoso.example/events", count=20)["ids"]
    told = send(graph, *[{"id": str(n), "method": "DELETE", "url": f"/me/events/{key}"} for n, key in enumerate(keys)])
    assert [each["status"] for each in told.values()] == [204] * 20
    assert "body" not in told["0"]


def test_what_depends_on_a_failure_is_424(graph: Graph) -> None:
    told = send(
        graph, get("1", "/me/events/none"), get("2", "/me", dependsOn=["1"]), get("3", "/me"),
        get("4", "/me", dependsOn=["3"]),
    )  # fmt: skip
    assert {key: each["status"] for key, each in told.items()} == {"1": 404, "2": 424, "3": 200, "4": 200}


def test_one_throttled_request_does_not_fail_the_others(graph: Graph, desk: Desk) -> None:
    desk("POST", "faults", kind="throttle", path="/v1.0/me/calendars", retry_after="2.128")
    told = send(graph, get("1", "/me/calendars"), get("2", "/me"))
    assert (told["1"]["status"], told["1"]["headers"]["Retry-After"]) == (429, "2.128")
    assert told["2"]["status"] == 200


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [get(str(n), "/me") for n in range(21)],
        [get("1", "/me"), get("1", "/me")],
        [{"method": "GET", "url": "/me"}],
        [{"id": "1", "url": "/me"}],
        [get("1", "/me", dependsOn=["9"])],
        [get("1", "/me", dependsOn=["2"]), get("2", "/me", dependsOn=["1"])],
        [{"id": "1", "method": "POST", "url": "/me/events", "body": {}}],
    ],
)
def test_a_malformed_batch_is_refused_whole(graph: Graph, wrong: list[dict[str, Any]]) -> None:
    assert graph("POST", "$batch", json={"requests": wrong}).status_code == 400


def test_a_batch_needs_a_token(graph: Graph) -> None:
    assert Graph(graph.url, "nonsense")("POST", "$batch", json={"requests": [get("1", "/me")]}).status_code == 401

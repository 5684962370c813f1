"""Webhooks: the handshake, the limits, and notifications that really arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.sandbox.server import Server

from .conftest import Browser, Desk, Graph, Listener, eventually
from .test_events import event


def wanted(listener: Listener, **more: Any) -> dict[str, Any]:
    return {
        "changeType": "created,updated,deleted",
        "notificationUrl": listener.url,
        "resource": "me/events",
        "expirationDateTime": (datetime.now(UTC) + timedelta(days=2)).isoformat(),
        "clientState": "only we know",
        **more,
    }


def test_it_works(graph: Graph, listener: Listener, desk: Desk) -> None:
    made = graph("POST", "subscriptions", json=wanted(listener))
    assert made.status_code == 201, made.text
    assert len(listener.handshakes) == 1 and " " in listener.handshakes[0]
    key = made.json()["id"]
    created = graph("POST", "me/events", json=event()).json()
    note = listener.wait_for(1)[0]
    assert (note["subscriptionId"], note["changeType"], note["clientState"]) == (key, "created", "only we know")
    assert note["resourceData"]["id"] == created["id"]
    assert note["resource"] == note["resourceData"]["@odata.id"]
    assert note["tenantId"] == "11111111-2222-4333-8444-555555555555"
    assert [held["id"] for held in desk.account("adele@contoso.example")["subscriptions"]] == [key]
    assert graph("DELETE", f"subscriptions/{key}").status_code == 204
    assert graph("DELETE", f"subscriptions/{key}").status_code == 404
    assert desk.account("adele@contoso.example")["subscriptions"] == []


def test_each_kind_of_change_is_told(graph: Graph, listener: Listener) -> None:
    graph("POST", "subscriptions", json=wanted(listener))
    made = graph("POST", "me/events", json=event()).json()
    graph("PATCH", f"me/events/{made['id']}", json={"subject": "Else"})
    graph("DELETE", f"me/events/{made['id']}")
    assert [note["changeType"] for note in listener.wait_for(3)] == ["created", "updated", "deleted"]


def test_only_the_changes_asked_for_are_told(graph: Graph, listener: Listener) -> None:
    graph("POST", "subscriptions", json=wanted(listener, changeType="deleted"))
    made = graph("POST", "me/events", json=event()).json()
    graph("DELETE", f"me/events/{made['id']}")
    assert [note["changeType"] for note in listener.wait_for(1)] == ["deleted"]


def test_a_wrong_handshake_makes_no_subscription(graph: Graph, listener: Listener) -> None:
    listener.echo = False
    answer = graph("POST", "subscriptions", json=wanted(listener))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")
    unreachable = graph("POST", "subscriptions", json=wanted(listener, notificationUrl="http://127.0.0.1:9/"))
    assert unreachable.status_code == 400
    assert graph.get("subscriptions")["value"] == []


def test_the_same_again_is_a_conflict(graph: Graph, listener: Listener) -> None:
    assert graph("POST", "subscriptions", json=wanted(listener)).status_code == 201
    assert graph("POST", "subscriptions", json=wanted(listener)).status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"changeType": "moved"},
        {"resource": "me/messages"},
        {"notificationUrl": "http://hook.example/"},
        {"clientState": "x" * 129},
        {"expirationDateTime": "soon"},
        {"expirationDateTime": (datetime.now(UTC) + timedelta(days=8)).isoformat()},
        {"expirationDateTime": (datetime.now(UTC) - timedelta(days=1)).isoformat()},
    ],
)
def test_limits_are_kept(graph: Graph, listener: Listener, wrong: dict[str, Any]) -> None:
    assert graph("POST", "subscriptions", json=wanted(listener, **wrong)).status_code == 400
    assert listener.handshakes == []


def test_a_short_life_is_raised_to_45_minutes(graph: Graph, listener: Listener) -> None:
    soon = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    told = graph("POST", "subscriptions", json=wanted(listener, expirationDateTime=soon)).json()
    assert datetime.fromisoformat(told["expirationDateTime"]) > datetime.now(UTC) + timedelta(minutes=44)


def test_a_subscription_can_be_renewed_and_ends_by_itself(graph: Graph, listener: Listener, desk: Desk) -> None:
    key = graph("POST", "subscriptions", json=wanted(listener)).json()["id"]
    later = (datetime.now(UTC) + timedelta(days=6)).isoformat()
    assert graph("PATCH", f"subscriptions/{key}", json={"expirationDateTime": later}).status_code == 200
    assert graph("POST", f"subscriptions/{key}/reauthorize").status_code == 204
    assert graph.get(f"subscriptions/{key}")["id"] == key
    desk("POST", "clock", advance_seconds=7 * 86400)
    assert desk.account("adele@contoso.example")["subscriptions"] == []


def test_nobody_sees_the_subscriptions_of_others(graph: Graph, listener: Listener, browser: Browser) -> None:
    key = graph("POST", "subscriptions", json=wanted(listener)).json()["id"]
    megan = Graph(graph.url, browser.connect("megan@outlook.example", prompt="select_account")["access_token"])
    assert megan.get("subscriptions")["value"] == []
    assert megan("DELETE", f"subscriptions/{key}").status_code == 404


def test_a_failed_delivery_is_tried_again(graph: Graph, listener: Listener, desk: Desk) -> None:
    listener.statuses = [503]
    graph("POST", "subscriptions", json=wanted(listener))
    graph("POST", "me/events", json=event())
    listener.wait_for(1)
    eventually(lambda: desk("GET", "deliveries")[-1]["note"] == "answered 503")
    assert desk("GET", "deliveries")[-1]["outcome"] == "waiting"
    desk("POST", "clock", advance_seconds=11)
    first, second = listener.wait_for(2)
    assert first == second


def test_a_slow_handshake_is_not_waited_for(graph: Graph, listener: Listener, server: Server) -> None:
    assert server.storage.handshake_seconds == 10
    server.storage.handshake_seconds = 0.2
    listener.pause = 1.0
    answer = graph("POST", "subscriptions", json=wanted(listener))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")
    assert "in time" in answer.json()["error"]["message"]

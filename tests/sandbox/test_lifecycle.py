"""Subscriptions over time: lifecycle notifications, lapsing access, retries for four hours, and their end."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Browser, Desk, Graph, Listener, eventually
from .test_events import event
from .test_subscriptions import wanted

HOUR = 3600


@pytest.fixture
def lifecycle() -> Any:
    held = Listener()
    yield held
    held.http.shutdown()
    held.http.server_close()


def subscribe(graph: Graph, listener: Listener, lifecycle: Listener) -> str:
    made = graph("POST", "subscriptions", json=wanted(listener, lifecycleNotificationUrl=lifecycle.url))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def change(desk: Desk) -> Any:
    """The latest delivery of a change."""
    return [each for each in desk("GET", "deliveries") if each["kind"] == "change"][-1]


def test_it_works(graph: Graph, listener: Listener, lifecycle: Listener, desk: Desk) -> None:
    key = subscribe(graph, listener, lifecycle)
    assert len(lifecycle.handshakes) == 1
    desk("POST", f"subscriptions/{key}/lifecycle", event="missed")
    note = lifecycle.wait_for(1)[0]
    assert (note["lifecycleEvent"], note["subscriptionId"], note["clientState"]) == ("missed", key, "only we know")
    assert "resource" not in note and "changeType" not in note
    assert listener.received == []


def test_withdrawn_consent_asks_for_reauthorization_and_flow_goes_on(
    graph: Graph, listener: Listener, lifecycle: Listener, desk: Desk
) -> None:
    subscribe(graph, listener, lifecycle)
    desk("POST", "accounts/adele@contoso.example/withdraw")
    assert lifecycle.wait_for(1)[0]["lifecycleEvent"] == "reauthorizationRequired"
    graph("POST", "me/events", json=event())
    assert listener.wait_for(1)[0]["changeType"] == "created"


def test_the_end_of_the_token_is_announced_and_then_delivery_pauses(
    graph: Graph, listener: Listener, lifecycle: Listener, desk: Desk, browser: Browser
) -> None:
    key = subscribe(graph, listener, lifecycle)
    desk("POST", "clock", advance_seconds=2 * HOUR)
    assert lifecycle.wait_for(1)[0]["lifecycleEvent"] == "reauthorizationRequired"
    desk("POST", "accounts/adele@contoso.example/events", count=1)
    assert desk.account("adele@contoso.example")["subscriptions"][0]["id"] == key
    eventually(lambda: "held back" in change(desk)["note"])
    assert listener.received == []
    fresh = Graph(graph.url, browser.connect("adele@contoso.example")["access_token"])
    assert fresh("POST", f"subscriptions/{key}/reauthorize").status_code == 204
    desk("POST", "clock", advance_seconds=60)
    assert listener.wait_for(1)[0]["subscriptionId"] == key


def test_after_four_hours_a_delivery_is_given_up_and_told_as_missed(
    graph: Graph, listener: Listener, lifecycle: Listener, desk: Desk
) -> None:
    subscribe(graph, listener, lifecycle)
    listener.statuses = [500] * 100
    graph("POST", "me/events", json=event())
    listener.wait_for(1)
    for attempt in range(2, 40):
        eventually(lambda: change(desk)["outcome"] == "waiting")
        desk("POST", "clock", advance_seconds=1801)
        eventually(lambda seen=attempt: change(desk)["attempts"] == seen)  # type: ignore[misc]
        if "given up" in change(desk)["outcome"]:
            break
    assert "missed" in [note["lifecycleEvent"] for note in lifecycle.wait_for(2)]
    assert change(desk)["attempts"] > 5


@pytest.mark.parametrize(
    ("path", "body"),
    [("password", {"by": "person"}), ("password", {"by": "admin"}), ("", {"enabled": False})],
)
def test_a_password_change_or_a_disabled_account_removes_subscriptions(
    graph: Graph, listener: Listener, lifecycle: Listener, desk: Desk, path: str, body: dict[str, Any]
) -> None:
    key = subscribe(graph, listener, lifecycle)
    at = "accounts/adele@contoso.example"
    desk("POST", f"{at}/{path}", **body) if path else desk("PATCH", at, **body)
    note = lifecycle.wait_for(1)[0]
    assert (note["lifecycleEvent"], note["subscriptionId"]) == ("subscriptionRemoved", key)
    assert desk.account("adele@contoso.example")["subscriptions"] == []


def test_nothing_is_sent_for_a_deleted_subscription(graph: Graph, listener: Listener, desk: Desk) -> None:
    listener.statuses = [503]
    key = graph("POST", "subscriptions", json=wanted(listener)).json()["id"]
    graph("POST", "me/events", json=event())
    listener.wait_for(1)
    assert graph("DELETE", f"subscriptions/{key}").status_code == 204
    desk("POST", "clock", advance_seconds=60)
    eventually(lambda: change(desk)["outcome"] == "not sent: no living subscription asks for it")
    assert len(listener.received) == 1


def test_several_changes_can_come_in_one_post(graph: Graph, listener: Listener, desk: Desk) -> None:
    graph("POST", "subscriptions", json=wanted(listener))
    desk("POST", "accounts/adele@contoso.example/events", count=30)
    assert len(listener.wait_for(30)) == 30
    assert len([each for each in desk("GET", "deliveries") if each["kind"] == "change"]) < 30

"""Webhook deliveries: read when they are some, refused when they are not."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.providers.base import Notification, Rejected
from portal.providers.outlook.notices import notifications
from portal.providers.outlook.outlook import OutlookProvider

CHANGE = {
    "id": "n1",
    "subscriptionId": "s1",
    "subscriptionExpirationDateTime": "2026-03-05T09:00:00.0000000Z",
    "clientState": "secret",
    "changeType": "updated",
    "resource": "Users/o/Events/e1",
    "tenantId": "",
    "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "id": "e1"},
}


def test_it_works(provider: OutlookProvider) -> None:
    body = json.dumps({"value": [CHANGE, {**CHANGE, "subscriptionId": "s2"}], "validationTokens": ["x"]}).encode()
    assert provider.parse_notifications(body) == (Notification("s1", "secret", ""), Notification("s2", "secret", ""))
    assert "secret" not in repr(provider.parse_notifications(body))


@pytest.mark.parametrize(
    ("event", "lifecycle"),
    [
        ("missed", "missed"),
        ("subscriptionRemoved", "subscriptionRemoved"),
        ("reauthorizationRequired", "reauthorizationRequired"),
        ("somethingNew", "missed"),
        (None, ""),
        (7, ""),
    ],
)
def test_lifecycle_events_keep_their_name(event: Any, lifecycle: str) -> None:
    body = json.dumps({"value": [{"subscriptionId": "s1", "clientState": "x", "lifecycleEvent": event}]}).encode()
    assert notifications(body)[0].lifecycle == lifecycle


def test_a_delivery_without_a_state_has_an_empty_one() -> None:
    assert notifications(b'{"value": [{"subscriptionId": "s1"}]}') == (Notification("s1", "", ""),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"value": {}}',
        b'{"value": [7]}',
        b'{"value": [{}]}',
        b'{"value": [{"subscriptionId": ""}]}',
        b'{"value": [{"subscriptionId": "\\u0000"}]}',
        b'{"value": [{"subscriptionId": "\\ud800"}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_delivery_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected):
        notifications(body)


JSON = st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.lists(st.text(max_size=2), max_size=2)
ITEM = st.dictionaries(st.sampled_from(["subscriptionId", "clientState", "lifecycleEvent", "id"]), JSON)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40) | st.builds(lambda items: json.dumps({"value": items}).encode(), st.lists(ITEM | JSON)))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(Rejected):
        assert all(found.subscription_id for found in notifications(body))

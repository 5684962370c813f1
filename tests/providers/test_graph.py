"""The calls to Graph: what is asked, with which headers, and what comes of the answer."""

from __future__ import annotations

import itertools
import logging
import time
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from portal.providers.base import Calendar, Gone, Rejected, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.conftest import make_provider
from tests.providers.fake import Fake, send
from tests.providers.genuine import NOW

PREFER = 'odata.maxpagesize=50, outlook.timezone="UTC", IdType="ImmutableId"'
MADE = {
    "id": "s1",
    "resource": "me/events",
    "notificationUrl": "http://127.0.0.1/hook",
    "expirationDateTime": "2026-03-05T09:00:00.0000000Z",
}
DELTA = "GET /v1.0/me/calendars/a/calendarView/delta"


def at(hour: int) -> dict[str, str]:
    return {"dateTime": f"2026-03-03T{hour:02}:00:00.0000000", "timeZone": "UTC"}


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(
        "GET /v1.0/me/calendars",
        {"value": [{"id": "a", "name": "A", "canEdit": True}], "@odata.nextLink": f"{fake.url}/v1.0/me/calendars?p=2"},
        {"value": [{"id": "b", "name": "B", "isDefaultCalendar": True}]},
    )
    assert provider.calendars("access-1") == (Calendar("a", "A", False, True), Calendar("b", "B", True, False))

    lunch = {"id": "e1", "subject": "Lunch", "start": at(9), "end": at(10), "showAs": "busy"}
    fake.on(DELTA, {"value": [lunch], "@odata.nextLink": f"{fake.url}/v1.0/delta?$skiptoken=1"})
    first = provider.first_changes("access-1", "a", NOW, NOW + timedelta(days=30))
    assert first.events[0].subject == "Lunch" and first.events[0].starts_at == datetime(2026, 3, 3, 9, tzinfo=UTC)
    assert first.next_link is not None and first.delta_link is None
    gone = {"id": "e1", "@removed": {"reason": "deleted"}}
    fake.on("GET /v1.0/delta", {"value": [gone], "@odata.deltaLink": f"{fake.url}/v1.0/delta?$deltatoken=2"})
    last = provider.next_changes("access-1", first.next_link)
    assert last.removed == ("e1",) and last.delta_link is not None and last.next_link is None
    assert fake.calls("GET /v1.0/delta")[0].query == {"$skiptoken": ["1"]}

    fake.on("POST /v1.0/subscriptions", (201, MADE, {}))
    fake.on("GET /v1.0/subscriptions", {"value": [MADE]})
    fake.on("PATCH /v1.0/subscriptions/s1", MADE)
    fake.on("DELETE /v1.0/subscriptions/s1", (204, b"", {}))
    subscription = provider.subscribe("access-1", "http://127.0.0.1/hook", "secret", NOW + timedelta(days=3))
    assert subscription.expires_at == NOW + timedelta(days=3)
    assert list(provider.subscriptions("access-1")) == [subscription]
    assert provider.renew("access-1", "s1", NOW + timedelta(days=3)) == subscription
    assert provider.unsubscribe("access-1", "s1") == "server-7"


def test_a_subscription_asks_for_every_change_and_for_lifecycle_events(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("POST /v1.0/subscriptions", (201, MADE, {}))
    elsewhere = timezone(timedelta(hours=2))
    provider.subscribe("access-1", "http://127.0.0.1/hook", "secret", datetime(2026, 3, 5, 11, tzinfo=elsewhere))
    assert fake.calls("POST /v1.0/subscriptions")[0].json == {
        "changeType": "created,updated,deleted",
        "notificationUrl": "http://127.0.0.1/hook",
        "lifecycleNotificationUrl": "http://127.0.0.1/hook",
        "resource": "me/events",
        "expirationDateTime": "2026-03-05T09:00:00Z",
        "clientState": "secret",
    }


def test_every_call_carries_its_headers(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("GET /v1.0/me/calendars", {"value": []})
    provider.calendars("access-1")
    provider.calendars("access-1")
    one, other = fake.calls("GET /v1.0/me/calendars")
    assert one.headers["Authorization"] == "Bearer access-1" and one.headers["Prefer"] == PREFER
    assert one.headers["User-Agent"] == "Coordinoter/test (+http://127.0.0.1)"
    assert len(one.headers["client-request-id"]) == 36
    assert one.headers["client-request-id"] != other.headers["client-request-id"]


def test_calls_are_logged_by_name_and_never_with_their_secrets(
    provider: OutlookProvider, fake: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.on("GET /v1.0/delta", {"value": [], "@odata.deltaLink": f"{fake.url}/v1.0/delta?$deltatoken=secret-2"})
    provider.next_changes("secret-token", f"{fake.url}/v1.0/delta?$deltatoken=secret-1")
    sent = fake.calls("GET /v1.0/delta")[0].headers["client-request-id"]
    ours = [record.getMessage() for record in caplog.records if record.name == "portal.providers.outlook"]
    assert ours == [f"next changes: 200 (client-request-id {sent}, request-id server-7)"]
    assert "/v1.0/delta" in caplog.text and "secret" not in caplog.text


def test_the_window_is_sent_in_utc_and_ids_are_quoted(provider: OutlookProvider, fake: Fake) -> None:
    with pytest.raises(Gone):
        provider.first_changes("access-1", "a/b=c?d", NOW, NOW + timedelta(days=1))
    assert fake.asked[0].path == "/v1.0/me/calendars/a%2Fb%3Dc%3Fd/calendarView/delta"
    assert fake.asked[0].query == {"startDateTime": ["2026-03-02T09:00:00Z"], "endDateTime": ["2026-03-03T09:00:00Z"]}


@pytest.mark.parametrize("subscription_id", ["", ".", ".."])
def test_an_id_cannot_climb_out_of_its_place(provider: OutlookProvider, fake: Fake, subscription_id: str) -> None:
    with pytest.raises(Rejected):
        provider.unsubscribe("access-1", subscription_id)
    assert fake.asked == []


def test_a_deletion_tells_microsofts_request_id(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("DELETE /v1.0/subscriptions/s1", (204, b"", {"request-id": "abc-1\t<x>"}))
    assert provider.unsubscribe("access-1", "s1") == "abc-1x"


def endless(fake: Fake, path: str, seconds: float = 0) -> None:
    """Each page leads to another one."""
    pages = itertools.count()

    def page(handler: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        send(handler, 200, {"value": [], "@odata.nextLink": f"{fake.url}{path}?$skiptoken={next(pages)}"}, {})

    fake.on(f"GET {path}", page)


def test_a_list_that_never_ends_is_left(provider: OutlookProvider, fake: Fake) -> None:
    endless(fake, "/v1.0/me/calendars")
    with pytest.raises(Unreachable):
        provider.calendars("access-1")
    assert len(fake.asked) == 200


def test_a_list_that_leads_back_to_itself_is_left_at_once(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("GET /v1.0/me/calendars", {"value": [], "@odata.nextLink": f"{fake.url}/v1.0/me/calendars"})
    with pytest.raises(Unreachable):
        provider.calendars("access-1")
    assert len(fake.asked) == 2


def test_a_slow_list_that_never_ends_holds_nobody_for_long(fake: Fake) -> None:
    """A disconnection lists our subscriptions: neither the deadline nor "Erase now" would be heard meanwhile."""
    endless(fake, "/v1.0/subscriptions", seconds=0.3)
    with pytest.raises(Unreachable):
        list(make_provider(fake.url, timeout=0.5).subscriptions("access-1"))
    assert len(fake.asked) <= 8


@pytest.mark.parametrize(
    "page",
    [{}, {"value": None}, {"value": [1]}, {"value": [{"name": "no id"}]}, {"value": [], "@odata.nextLink": 7}],
)
def test_a_list_of_something_else_makes_no_sense(provider: OutlookProvider, fake: Fake, page: Any) -> None:
    fake.on("GET /v1.0/me/calendars", page)
    with pytest.raises(Unreachable):
        provider.calendars("access-1")


BARE = {"id": "o1", "type": "occurrence", "seriesMasterId": "m1", "start": at(9), "end": at(10)}
SERIES = {"id": "m1", "type": "seriesMaster", "subject": "Weekly", "sensitivity": "normal", "showAs": "tentative"}


def test_a_bare_occurrence_is_completed_from_its_series(provider: OutlookProvider, fake: Fake) -> None:
    page = {"value": [BARE, {**BARE, "id": "o2"}], "@odata.deltaLink": f"{fake.url}/v1.0/d"}
    fake.on(DELTA, page)
    fake.on("GET /v1.0/me/events/m1", SERIES)
    events = provider.first_changes("access-1", "a", NOW, NOW + timedelta(days=1)).events
    assert [(event.id, event.subject, event.show_as) for event in events] == [
        ("o1", "Weekly", "tentative"),
        ("o2", "Weekly", "tentative"),
    ]
    asked = fake.calls("GET /v1.0/me/events/m1")
    assert len(asked) == 1 and asked[0].query == {"$select": ["id,subject,sensitivity,showAs,isAllDay"]}


def test_a_series_in_the_page_is_not_asked_for_again(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(DELTA, {"value": [BARE, {**SERIES, "sensitivity": "private"}], "@odata.deltaLink": f"{fake.url}/v1.0/d"})
    changes = provider.first_changes("access-1", "a", NOW, NOW + timedelta(days=1))
    assert changes.events[0].is_private and changes.events[0].subject == ""
    assert changes.removed == ("m1",) and len(fake.asked) == 1


def test_a_series_that_is_gone_leaves_its_occurrence_without_a_subject(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(DELTA, {"value": [BARE], "@odata.deltaLink": f"{fake.url}/v1.0/d"})
    events = provider.first_changes("access-1", "a", NOW, NOW + timedelta(days=1)).events
    assert events[0].id == "o1" and events[0].subject == ""
    fake.on("GET /v1.0/me/events/m1", (503, b"", {}))
    with pytest.raises(Unreachable):
        provider.first_changes("access-1", "a", NOW, NOW + timedelta(days=1))

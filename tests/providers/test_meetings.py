"""Meetings of ours in their calendar: written once and marked, removed only where nobody would be mailed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from portal.providers.base import Gone, Grant, NewEvent, ProviderError, Rejected, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers import person
from tests.providers.fake import Fake
from tests.providers.genuine import NOW

EVENT = "GET /v1.0/me/events/e1"
REMOVE = "DELETE /v1.0/me/events/e1"
WRITE = "POST /v1.0/me/calendars/a/events"
MEETING = NewEvent(
    title="Review",
    place="Room 1",
    starts_at=datetime(2026, 3, 3, 11, tzinfo=timezone(timedelta(hours=2))),
    ends_at=NOW + timedelta(days=1, hours=1),
    mark="meeting-1",
    transaction_id="tx-1",
)


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(WRITE, (201, {"id": "e1"}, {}))
    assert provider.write_event("access-1", "a", MEETING) == "e1"
    sent = fake.calls(WRITE)[0].json
    assert sent["start"] == {"dateTime": "2026-03-03T09:00:00", "timeZone": "UTC"}
    assert sent["transactionId"] == "tx-1" and "attendees" not in sent
    assert [each["value"] for each in sent["singleValueExtendedProperties"]] == ["meeting-1"]

    fake.on(EVENT, {"id": "e1", "attendees": [], "@odata.etag": 'W/"7"'})
    fake.on(REMOVE, (204, b"", {}))
    assert provider.remove_event("access-1", "e1") == "server-7"
    assert fake.calls(REMOVE)[0].headers["If-Match"] == 'W/"7"'


def test_an_event_with_attendees_is_left_alone(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(EVENT, {"id": "e1", "attendees": [{"emailAddress": {"address": "megan@outlook.example"}}]})
    assert provider.remove_event("access-1", "e1") is None
    assert fake.calls(REMOVE) == []


@pytest.mark.parametrize(
    ("look", "delete", "expected"),
    [
        ((404, {"error": {"code": "ErrorItemNotFound"}}, {}), (204, b"", {}), Gone),
        ({"id": "e1"}, (404, {"error": {"code": "ErrorItemNotFound"}}, {}), Gone),
        ({"id": "e1"}, (412, {"error": {"code": "ErrorIrresolvableConflict"}}, {}), Rejected),
        ((503, b"", {}), (204, b"", {}), Unreachable),
    ],
)
def test_a_removal_that_fails_says_so(
    provider: OutlookProvider, fake: Fake, look: Any, delete: Any, expected: type[ProviderError]
) -> None:
    fake.on(EVENT, look)
    fake.on(REMOVE, delete)
    with pytest.raises(expected):
        provider.remove_event("access-1", "e1")


def test_an_answer_without_an_id_makes_no_sense(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(WRITE, (201, {"subject": "Review"}, {}))
    with pytest.raises(Unreachable):
        provider.write_event("access-1", "a", MEETING)


def test_written_twice_it_is_there_once(outlook: OutlookProvider, grant: Grant, desk: person.Desk) -> None:
    access = grant.tokens.access_token
    calendar = next(each for each in outlook.calendars(access) if each.is_default)
    first = outlook.write_event(access, calendar.id, MEETING)
    assert outlook.write_event(access, calendar.id, MEETING) == first
    assert len(desk("GET", f"accounts/{grant.account.address}/events?subject=Review")) == 1
    assert outlook.remove_event(access, first)
    with pytest.raises(Gone):
        outlook.remove_event(access, first)


def test_a_meeting_is_found_by_our_mark(outlook: OutlookProvider, grant: Grant) -> None:
    access = grant.tokens.access_token
    for calendar in outlook.calendars(access):
        if not calendar.can_edit:
            continue
        made = outlook.write_event(access, calendar.id, replace(MEETING, transaction_id=f"tx-{calendar.id}"))
        outlook.write_event(access, calendar.id, replace(MEETING, mark="m-2", transaction_id=f"tx-2-{calendar.id}"))
        assert outlook.find_event(access, calendar.id, MEETING.mark) == made
        assert outlook.find_event(access, calendar.id, "meeting-3") is None
        assert outlook.find_event(access, calendar.id, "o'clock' or ep/value ne 'x") is None
        assert (outlook.find_event(access, "", MEETING.mark) == made) is calendar.is_default
        outlook.remove_event(access, made)
        assert outlook.find_event(access, calendar.id, MEETING.mark) is None
    with pytest.raises(Gone):
        outlook.find_event(access, "no-such-calendar", MEETING.mark)


def test_a_list_that_makes_no_sense_finds_nothing_and_says_so(provider: OutlookProvider, fake: Fake) -> None:
    for senseless in ({"value": [7]}, {"value": [{"subject": "x"}]}, {}):
        fake.on("GET /v1.0/me/events", senseless)
        with pytest.raises(Unreachable):
            provider.find_event("access-1", "", "meeting-1")

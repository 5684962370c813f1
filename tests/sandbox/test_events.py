"""Writing, changing, finding and deleting events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portal.sandbox.graph.event_input import CARRIED

from .conftest import Desk, Graph

MARK = "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name CoordinoterId"


def event(**more: Any) -> dict[str, Any]:
    return {
        "subject": "Kick-off",
        "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-03-02T10:00:00", "timeZone": "UTC"},
        **more,
    }


def test_it_works(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event())
    assert made.status_code == 201
    told = made.json()
    assert told["type"] == "singleInstance"
    assert told["isOrganizer"] and told["organizer"]["emailAddress"]["address"] == "adele@contoso.example"
    assert graph.get(f"me/events/{told['id']}")["subject"] == "Kick-off"
    assert graph("PATCH", f"me/events/{told['id']}", json={"subject": "Start"}).json()["subject"] == "Start"
    assert graph("DELETE", f"me/events/{told['id']}").status_code == 204
    gone = graph("DELETE", f"me/events/{told['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "ErrorItemNotFound")


def test_a_transaction_id_makes_no_twin(graph: Graph) -> None:
    first = graph("POST", "me/events", json=event(transactionId="abc")).json()
    second = graph("POST", "me/events", json=event(transactionId="abc", subject="Again")).json()
    assert first["id"] == second["id"]
    assert first["transactionId"] == "abc"
    assert graph("PATCH", f"me/events/{first['id']}", json={"transactionId": "other"}).status_code == 400
    assert "transactionId" not in graph("POST", "me/events", json=event()).json()


def test_a_change_against_an_old_version_is_refused(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event()).json()
    at, old = f"me/events/{made['id']}", {"If-Match": made["@odata.etag"]}
    assert graph("PATCH", at, json={"subject": "One"}, headers=old).status_code == 200
    assert graph("PATCH", at, json={"subject": "Two"}, headers=old).status_code == 412
    assert graph("DELETE", at, headers=old).status_code == 412
    assert graph("DELETE", at, headers={"If-Match": "*"}).status_code == 204


def test_marks_are_found_by_filter_and_shown_by_expand_only(graph: Graph) -> None:
    mark = [{"id": MARK, "value": "meeting-7"}]
    made = graph("POST", "me/events", json=event(singleValueExtendedProperties=mark)).json()
    assert "singleValueExtendedProperties" not in graph.get(f"me/events/{made['id']}")
    shown = f"$expand=singleValueExtendedProperties($filter=id eq '{MARK}')"
    assert graph.get(f"me/events/{made['id']}?{shown}")["singleValueExtendedProperties"] == mark
    wanted = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and ep/value eq 'meeting-7')"
    found = graph.get("me/events", params={"$filter": wanted})["value"]
    assert [row["id"] for row in found] == [made["id"]]
    assert "singleValueExtendedProperties" not in found[0]
    assert graph.get("me/events", params={"$filter": wanted.replace("meeting-7", "meeting-8")})["value"] == []


def test_events_can_be_filtered_ordered_and_selected(graph: Graph) -> None:
    for hour in (11, 9, 10):
        graph(
            "POST",
            "me/events",
            json=event(
                subject=f"Slot {hour}",
                start={"dateTime": f"2031-03-02T{hour:02}:00:00", "timeZone": "UTC"},
                end={"dateTime": f"2031-03-02T{hour:02}:30:00", "timeZone": "UTC"},
            ),
        )
    told = graph.get(
        "me/events",
        params={
            "$filter": "start/dateTime ge '2031-01-01T00:00' and startswith(subject,'Slot')",
            "$orderby": "start/dateTime",
            "$select": "subject",
            "$count": "true",
        },
    )
    assert [row["subject"] for row in told["value"]] == ["Slot 9", "Slot 10", "Slot 11"]
    assert told["@odata.count"] == 3
    assert set(told["value"][0]) == {"@odata.etag", "id", "subject"}
    assert graph("GET", "me/events", params={"$filter": "subject equals 'x'"}).status_code == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"start": None},
        {"end": {"dateTime": "2026-03-01T10:00:00", "timeZone": "UTC"}},
        {"start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Moon Time"}},
        {"start": {"dateTime": "soon", "timeZone": "UTC"}},
        {"isAllDay": True},
        {"sensitivity": "secret"},
        {"subject": 7},
    ],
)
def test_what_exchange_would_refuse_is_refused(graph: Graph, wrong: dict[str, Any]) -> None:
    assert graph("POST", "me/events", json=event(**wrong)).status_code == 400


def test_an_all_day_event_keeps_its_midnight_in_every_zone(graph: Graph) -> None:
    made = graph(
        "POST",
        "me/events",
        json=event(
            isAllDay=True,
            start={"dateTime": "2026-03-02T00:00:00", "timeZone": "Europe/Berlin"},
            end={"dateTime": "2026-03-03T00:00:00", "timeZone": "Europe/Berlin"},
        ),
    ).json()
    assert made["start"]["dateTime"] == "2026-03-02T00:00:00.0000000"
    tokyo = graph.get(f"me/events/{made['id']}", headers={"Prefer": 'outlook.timezone="Tokyo Standard Time"'})
    assert tokyo["start"]["dateTime"] == "2026-03-02T00:00:00.0000000"


SERIES = {
    "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
    "range": {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 4},
}
SPRING = "startDateTime=2026-03-01T00:00:00Z&endDateTime=2026-05-01T00:00:00Z"


def test_a_series_keeps_its_wall_clock_over_the_change_of_the_clocks(graph: Graph) -> None:
    berlin = {"timeZone": "W. Europe Standard Time"}
    made = graph(
        "POST",
        "me/events",
        json=event(
            start={"dateTime": "2026-03-16T09:00:00", **berlin},
            end={"dateTime": "2026-03-16T10:00:00", **berlin},
            recurrence={**SERIES, "range": {**SERIES["range"], "startDate": "2026-03-16"}},
        ),
    ).json()
    assert made["type"] == "seriesMaster"
    rows = graph.get(f"me/events/{made['id']}/instances?{SPRING}")["value"]
    assert [row["start"]["dateTime"][:16] for row in rows] == [
        "2026-03-16T08:00",
        "2026-03-23T08:00",
        "2026-03-30T07:00",
        "2026-04-06T07:00",
    ]


def test_one_occurrence_can_be_changed_or_cancelled(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event(recurrence=SERIES)).json()
    first, second, *_ = graph.get(f"me/events/{made['id']}/instances?{SPRING}")["value"]
    assert first["seriesMasterId"] == made["id"] and first["originalStart"] == "2026-03-02T09:00:00Z"
    changed = graph("PATCH", f"me/events/{first['id']}", json={"subject": "Only today"}).json()
    assert (changed["type"], changed["id"]) == ("exception", first["id"])
    assert graph("DELETE", f"me/events/{second['id']}").status_code == 204
    rows = graph.get(f"me/events/{made['id']}/instances?{SPRING}")["value"]
    assert [(row["type"], row["subject"]) for row in rows] == [
        ("exception", "Only today"),
        ("occurrence", "Kick-off"),
        ("occurrence", "Kick-off"),
    ]


def test_immutable_ids_are_honoured_on_request(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event()).json()
    asked = {"Prefer": 'IdType="ImmutableId"'}
    lasting = graph.get(f"me/events/{made['id']}", headers=asked)["id"]
    assert lasting != made["id"]
    assert graph.get(f"me/events/{lasting}")["id"] == made["id"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
pattern = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["daily", "weekly", "absoluteMonthly", "relativeYearly", "hourly"]) | json_values,
        "interval": st.integers(-2, 9) | json_values,
        "daysOfWeek": st.lists(st.sampled_from(["monday", "sunday", "noday"]), max_size=2) | json_values,
        "dayOfMonth": st.integers(-1, 40),
        "month": st.integers(0, 14),
        "index": st.sampled_from(["first", "last", "fifth"]),
        "firstDayOfWeek": st.sampled_from(["sunday", "noday"]),
    },
)
limits = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["noEnd", "endDate", "numbered"]) | json_values,
        "startDate": st.sampled_from(["2026-03-02", "2026-02-30", "never"]),
        "endDate": st.sampled_from(["2026-05-01", "2020-01-01", "never"]),
        "numberOfOccurrences": st.integers(-1, 5) | json_values,
    },
)
changes = st.dictionaries(
    st.sampled_from(
        [*CARRIED, "start", "end", "isAllDay", "recurrence", "extensions", "singleValueExtendedProperties"]
    ),
    json_values,
    max_size=3,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes, recurrence=st.none() | st.fixed_dictionaries({"pattern": pattern, "range": limits}))
def test_whatever_is_sent_is_taken_or_refused(
    graph: Graph, change: dict[str, Any], recurrence: dict[str, Any] | None
) -> None:
    sent = event(recurrence=recurrence)
    answer = graph("POST", "me/events", json={**sent, **change})
    assert answer.status_code in {201, 400}, answer.text
    if answer.status_code == 201:
        key = answer.json()["id"]
        assert graph("GET", f"me/calendarView?{SPRING}&$top=1000").status_code == 200
        assert graph("DELETE", f"me/events/{key}").status_code == 204


def test_attendees_are_counted_not_mailed(graph: Graph, desk: Desk) -> None:
    guest = [{"emailAddress": {"address": "guest@fabrikam.example"}, "type": "required"}]
    key = graph("POST", "me/events", json=event(attendees=guest)).json()["id"]
    graph("DELETE", f"me/events/{key}")
    assert desk.account("adele@contoso.example")["mails"] == {"invitations": 1, "cancellations": 1}


def test_a_body_comes_as_text_on_request(graph: Graph) -> None:
    html = {"contentType": "html", "content": "<p>Bring <b>cake</b></p>"}
    key = graph("POST", "me/events", json=event(body=html)).json()["id"]
    assert graph.get(f"me/events/{key}")["body"] == html
    text = graph.get(f"me/events/{key}", headers={"Prefer": 'outlook.body-content-type="text"'})["body"]
    assert text == {"contentType": "text", "content": "Bring cake"}

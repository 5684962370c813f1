"""Change tracking of a calendar view."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Desk, Graph
from .test_calendars import month
from .test_events import SERIES, SPRING, event


def rounds(graph: Graph, url: str, size: int = 50, **headers: str) -> tuple[list[dict[str, Any]], str]:
    """Follow the pages of one round: all rows, and the deltaLink."""
    prefer = {"Prefer": f"odata.maxpagesize={size}", **headers}
    rows: list[dict[str, Any]] = []
    told = graph.get(url, headers=prefer)
    while "@odata.nextLink" in told:
        assert len(told["value"]) <= size
        rows += told["value"]
        told = graph.get(told["@odata.nextLink"], headers=prefer)
    return rows + told["value"], told["@odata.deltaLink"]


def test_it_works(graph: Graph, desk: Desk) -> None:
    rows, link = rounds(graph, f"me/calendarView/delta?{month(desk)}", size=7)
    assert len(rows) == len({row["id"] for row in rows}) > 25
    assert {row["type"] for row in rows} == {"singleInstance", "occurrence", "exception", "seriesMaster"}
    assert "$deltatoken=" in link
    assert rounds(graph, link)[0] == []


@pytest.mark.parametrize("spelling", ["delta", "delta()", "microsoft.graph.delta()"])
def test_the_function_may_be_spelt_in_several_ways(graph: Graph, spelling: str) -> None:
    assert "value" in graph.get(f"me/calendarView/{spelling}?{SPRING}")
    calendar = graph.get("me/calendars")["value"][1]["id"]
    assert "value" in graph.get(f"me/calendars/{calendar}/calendarView/{spelling}?{SPRING}")


def test_changes_come_in_the_next_round(graph: Graph) -> None:
    kept = graph("POST", "me/events", json=event(subject="Kept")).json()
    lost = graph("POST", "me/events", json=event(subject="Lost")).json()
    _, link = rounds(graph, f"me/calendarView/delta?{SPRING}")
    graph("PATCH", f"me/events/{kept['id']}", json={"subject": "Changed"})
    graph("DELETE", f"me/events/{lost['id']}")
    new = graph("POST", "me/events", json=event(subject="New")).json()
    rows, _ = rounds(graph, link)
    seen = {row["id"]: row for row in rows}
    assert set(seen) == {kept["id"], lost["id"], new["id"]}
    assert seen[kept["id"]]["subject"] == "Changed"
    assert seen[lost["id"]] == {
        "@odata.type": "#microsoft.graph.event",
        "id": lost["id"],
        "@removed": {"reason": "deleted"},
    }


def test_what_leaves_the_window_is_removed(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event()).json()
    _, link = rounds(graph, f"me/calendarView/delta?{SPRING}")
    later = {name: {"dateTime": "2027-01-01T09:00:00", "timeZone": "UTC"} for name in ("start", "end")}
    graph("PATCH", f"me/events/{made['id']}", json=later)
    rows, _ = rounds(graph, link)
    assert [(row["id"], row.get("@removed")) for row in rows] == [(made["id"], {"reason": "deleted"})]


def test_a_deleted_series_removes_each_occurrence(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event(recurrence=SERIES)).json()
    first, link = rounds(graph, f"me/calendarView/delta?{SPRING}")
    assert [row["type"] for row in first] == ["seriesMaster"] + ["occurrence"] * 4
    graph("DELETE", f"me/events/{made['id']}")
    rows, _ = rounds(graph, link)
    assert {row["id"] for row in rows} == {row["id"] for row in first}
    assert all("@removed" in row for row in rows)


def test_an_occurrence_leaves_its_content_to_its_master(graph: Graph) -> None:
    made = graph("POST", "me/events", json=event(recurrence=SERIES)).json()
    master, *rest = rounds(graph, f"me/calendarView/delta?{SPRING}")[0]
    assert (master["id"], master["subject"]) == (made["id"], "Kick-off")
    bare = {"@odata.type", "@odata.etag", "id", "seriesMasterId", "type", "start", "end"}
    assert all(set(row) == bare and row["seriesMasterId"] == made["id"] for row in rest)
    graph("PATCH", f"me/events/{rest[0]['id']}", json={"subject": "Only today"})
    changed = next(r for r in rounds(graph, f"me/calendarView/delta?{SPRING}")[0] if r["type"] == "exception")
    assert (changed["id"], changed["subject"]) == (rest[0]["id"], "Only today")


def test_an_old_link_can_be_used_again(graph: Graph) -> None:
    _, link = rounds(graph, f"me/calendarView/delta?{SPRING}")
    graph("POST", "me/events", json=event())
    assert len(rounds(graph, link)[0]) == 1
    assert len(rounds(graph, link)[0]) == 1


@pytest.mark.parametrize(
    "option", ["$select=subject", "$filter=subject eq 'x'", "$orderby=subject", "$expand=extensions"]
)
def test_query_options_are_refused(graph: Graph, option: str) -> None:
    answer = graph("GET", f"me/calendarView/delta?{SPRING}&{option}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ErrorInvalidUrlQuery")


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("410", 410, "SyncStateNotFound"), ("syncStateNotFound", 400, "syncStateNotFound"),
     ("resyncRequired", 410, "resyncRequired")],
)  # fmt: skip
def test_a_spent_link_asks_for_a_full_round(graph: Graph, desk: Desk, how: str, status: int, code: str) -> None:
    _, link = rounds(graph, f"me/calendarView/delta?{SPRING}")
    assert desk("POST", "accounts/adele@contoso.example/spend-deltas", how=how)["spent"] >= 1
    answer = graph("GET", link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert "value" in graph.get(answer.headers["Location"])


def test_a_window_is_needed(graph: Graph) -> None:
    assert graph("GET", "me/calendarView/delta").status_code == 400


def test_immutable_ids_survive_a_move_to_another_calendar(graph: Graph, desk: Desk) -> None:
    asked = {"Prefer": 'odata.maxpagesize=50, IdType="ImmutableId"'}
    made = graph("POST", "me/events", json=event(), headers={"Prefer": 'IdType="ImmutableId"'}).json()["id"]
    calendar = graph.get("me/calendars")["value"][1]["id"]
    link = graph.get(f"me/calendarView/delta?{SPRING}", headers=asked)["@odata.deltaLink"]
    there = graph.get(f"me/calendars/{calendar}/calendarView/delta?{SPRING}", headers=asked)["@odata.deltaLink"]
    key = next(row["id"] for row in desk("GET", "accounts/adele@contoso.example/events?subject=Kick-off"))
    desk("PATCH", f"accounts/adele@contoso.example/events/{key}", calendar=calendar)
    gone = graph.get(link, headers=asked)["value"]
    assert [(row["id"], "@removed" in row) for row in gone] == [(made, True)]
    assert [row["id"] for row in graph.get(there, headers=asked)["value"]] == [made]

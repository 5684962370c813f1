"""Calendars, their views, and the person they belong to."""

from __future__ import annotations

from datetime import datetime, timedelta

import requests

from .conftest import Browser, Desk, Graph

WINDOW = "startDateTime=2020-01-01T00:00:00Z&endDateTime=2020-02-01T00:00:00Z"


def month(desk: Desk) -> str:
    """The query of a window from a week ago to a month ahead, on the sandbox's clock."""
    now = datetime.fromisoformat(desk("GET", "clock")["now"])
    start, end = now - timedelta(days=7), now + timedelta(days=30)
    return f"startDateTime={start:%Y-%m-%dT%H:%M:%SZ}&endDateTime={end:%Y-%m-%dT%H:%M:%SZ}"


def test_it_works(graph: Graph) -> None:
    told = graph.get("me/calendars")
    assert told["@odata.context"].startswith(f"{graph.url}/v1.0/$metadata#users(")
    names = {calendar["name"]: calendar for calendar in told["value"]}
    assert set(names) == {"Calendar", "Product launch", "Family"}
    assert names["Calendar"]["isDefaultCalendar"] and not names["Calendar"]["isRemovable"]
    assert names["Calendar"]["owner"] == {"name": "Adele Vance", "address": "adele@contoso.example"}
    assert all(calendar["canEdit"] for calendar in told["value"])


def test_me_is_the_person_of_the_token(graph: Graph, browser: Browser) -> None:
    me = graph.get("me")
    assert (me["userPrincipalName"], me["displayName"]) == ("adele@contoso.example", "Adele Vance")
    assert graph.get("me?$select=mail")["mail"] == "adele@contoso.example"
    assert "displayName" not in graph.get("me?$select=mail")
    info = requests.get(
        f"{browser.url}/oidc/userinfo", headers={"Authorization": f"Bearer {graph.token}"}, timeout=30
    ).json()
    assert (info["name"], info["email"]) == ("Adele Vance", "adele@contoso.example")


def test_what_people_have_not_is_told_calmly(graph: Graph) -> None:
    answer = graph("GET", "me/photo/$value")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ImageNotFound")
    assert graph("GET", "me/mailboxSettings").status_code == 403


def test_a_view_lays_series_out(graph: Graph, desk: Desk) -> None:
    rows = graph.get(f"me/calendarView?{month(desk)}&$top=200")["value"]
    kinds = [row["type"] for row in rows]
    assert kinds.count("occurrence") > 10
    assert kinds.count("exception") == 1
    assert "seriesMaster" not in kinds
    assert len(rows) > 25
    assert [row["start"]["dateTime"] for row in rows] == sorted(row["start"]["dateTime"] for row in rows)
    assert any(row["isAllDay"] for row in rows) and any(row["sensitivity"] == "private" for row in rows)


def test_a_view_comes_in_pages(graph: Graph, desk: Desk) -> None:
    told = graph.get(f"me/calendarView?{month(desk)}")
    seen = [row["id"] for row in told["value"]]
    assert len(seen) == 10
    while "@odata.nextLink" in told:
        assert told["@odata.nextLink"].startswith(graph.url)
        told = graph.get(told["@odata.nextLink"])
        seen += [row["id"] for row in told["value"]]
    assert len(seen) == len(set(seen)) > 25


def test_a_view_needs_a_window(graph: Graph) -> None:
    told = graph("GET", "me/calendarView")
    assert told.status_code == 400
    assert told.json()["error"]["code"] == "ErrorInvalidParameter"


def test_times_come_in_the_zone_asked_for(graph: Graph, desk: Desk) -> None:
    made = graph(
        "POST",
        "me/events",
        json={
            "subject": "Summer",
            "start": {"dateTime": "2026-07-01T09:00:00", "timeZone": "Europe/Berlin"},
            "end": {"dateTime": "2026-07-01T10:00:00", "timeZone": "Europe/Berlin"},
        },
    ).json()
    assert made["start"] == {"dateTime": "2026-07-01T07:00:00.0000000", "timeZone": "UTC"}
    answer = graph("GET", f"me/events/{made['id']}", headers={"Prefer": 'outlook.timezone="Pacific Standard Time"'})
    assert answer.json()["start"] == {"dateTime": "2026-07-01T00:00:00.0000000", "timeZone": "Pacific Standard Time"}
    assert answer.headers["Preference-Applied"] == 'outlook.timezone="Pacific Standard Time"'
    wrong = graph("GET", f"me/events/{made['id']}", headers={"Prefer": 'outlook.timezone="Moon Time"'})
    assert wrong.json()["error"]["code"] == "TimeZoneNotSupportedException"


def test_errors_are_shaped_as_graph_shapes_them(graph: Graph) -> None:
    answer = graph("GET", "me/calendars/nothing", headers={"client-request-id": "my own id"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert error["code"] == "ErrorItemNotFound"
    inner = error["innerError"]
    assert inner["client-request-id"] == "my own id"
    assert inner["request-id"] == answer.headers["request-id"]
    assert len(inner["date"]) == len("2025-02-13T10:17:05")
    assert answer.headers["client-request-id"] == "my own id"


def test_a_bad_or_old_token_is_refused(graph: Graph, desk: Desk) -> None:
    assert Graph(graph.url, "nonsense")("GET", "me").json()["error"]["code"] == "InvalidAuthenticationToken"
    desk("POST", "accounts/adele@contoso.example/expire-tokens", kinds=["access"])
    answer = graph("GET", "me/calendars")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_token_opens_only_what_its_scopes_allow(browser: Browser) -> None:
    graph = Graph(browser.url, browser.connect("megan@outlook.example", scope="openid Calendars.Read")["access_token"])
    assert graph.get("me/calendars")["value"]
    answer = graph("POST", "me/events", json={})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorAccessDenied")
    assert graph("GET", "me").status_code == 403


def test_an_account_without_a_mailbox_says_so(graph: Graph, desk: Desk) -> None:
    desk("PATCH", "accounts/adele@contoso.example", mailbox_error="MailboxNotEnabledForRESTAPI")
    answer = graph("GET", "me/calendars")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "MailboxNotEnabledForRESTAPI")
    assert graph("GET", "me").status_code == 200


def test_calendars_can_be_made_and_removed(graph: Graph) -> None:
    made = graph("POST", "me/calendars", json={"name": "Volunteering"})
    assert made.status_code == 201
    assert graph("POST", "me/calendars", json={"name": "volunteering"}).status_code == 409
    key = made.json()["id"]
    assert graph("PATCH", f"me/calendars/{key}", json={"name": "Helping"}).json()["name"] == "Helping"
    assert graph("DELETE", f"me/calendars/{key}").status_code == 204
    assert graph("GET", f"me/calendars/{key}").status_code == 404
    default = graph.get("me/calendar")["id"]
    assert graph("DELETE", f"me/calendars/{default}").status_code == 400

"""The desk: the page, its levers, and the JSON interface."""

from __future__ import annotations

import pytest
import requests

from .conftest import Browser, Desk, Graph


def test_it_works(browser: Browser, desk: Desk) -> None:
    browser.connect("adele@contoso.example")
    page = browser.send("get", "/desk")
    assert "what Microsoft still holds" in page.text
    assert "1 living" in page.text
    state = desk("GET", "state")
    adele = next(account for account in state["accounts"] if account["address"] == "adele@contoso.example")
    assert adele["grants"][0]["scopes"][0] == "Calendars.ReadWrite"
    assert adele["refresh_tokens"]["living"] == adele["access_tokens"]["living"] == 1


def test_no_secret_is_shown(browser: Browser) -> None:
    told = browser.connect("adele@contoso.example")
    code = browser.authorize().returned["code"]
    browser.redeem(code)
    browser.refresh(told["refresh_token"])
    shown = "".join(
        browser.send("get", path).answer.text for path in ("/desk", "/desk/api/state", "/desk/api/calls?limit=1000")
    )
    for secret in (told["access_token"], told["refresh_token"], told["id_token"], code, browser.config.client_secret):
        assert secret not in shown
    assert "hidden" in shown


def test_calls_are_recorded(graph: Graph, desk: Desk) -> None:
    desk("DELETE", "calls")
    graph("GET", "me/calendars", headers={"client-request-id": "abc", "User-Agent": "a client"})
    call = desk("GET", "calls?path=/v1.0")[-1]
    assert (call["method"], call["path"], call["status"]) == ("GET", "/v1.0/me/calendars", 200)
    assert (call["account"], call["client_request_id"], call["user_agent"]) == (
        "adele@contoso.example",
        "abc",
        "a client",
    )


@pytest.mark.parametrize(
    ("lever", "says"),
    [
        ("Withdraw own consent (adele@contoso.example)", "Consents withdrawn"),
        ("Sign out everywhere (adele@contoso.example)", "signed out everywhere"),
        ("Reset password (adele@contoso.example)", "reset the password"),
        ("Disable (adele@contoso.example)", "is disabled"),
        ("Expire access tokens (adele@contoso.example)", "expired: 1"),
        ("Expire refresh tokens (adele@contoso.example)", "expired: 1"),
        ("Spend delta links: 410 (adele@contoso.example)", "spent: 0"),
        ("Add events (adele@contoso.example)", "Events added for adele@contoso.example: 5"),
        ("Order for this account (adele@contoso.example)", "calendar scopes are not granted"),
        ("Set", "policy of Contoso is now: workflow"),
        ("Switch off", "switched off at Contoso"),
        ("Order it", "Ordered: content_type"),
        ("Mend everything", "Everything works again"),
        ("Move", "clock says"),
        ("Let it expire", "has expired"),
        ("Roll the keys", "New signing keys"),
        ("Reset the sandbox", "starts afresh"),
    ],
)
def test_every_lever_works(browser: Browser, lever: str, says: str) -> None:
    browser.connect("adele@contoso.example")
    page = browser.send("get", "/desk")
    chosen = {
        "Order it": {"kind": "content_type", "endpoint": "all"},
        "Order for this account (adele@contoso.example)": {"what": "withheld"},
        "Set": {"tenant": "contoso.example", "consent": "workflow"},
        "Switch off": {"tenant": "contoso.example"},
    }
    more = chosen.get(lever, {})
    done = page.press(lever, **more)
    assert done.answer.status_code == 303
    after = browser.send("get", done.answer.headers["Location"])
    assert says in after.text


def test_mistakes_are_told(browser: Browser) -> None:
    page = browser.send("get", "/desk").press("Add", address="nonsense")
    assert page.answer.status_code == 422
    assert "An address needs a name" in page.text


def test_another_site_cannot_press_the_levers(browser: Browser, desk: Desk) -> None:
    for origin in ("https://evil.example", "null"):
        told = requests.post(f"{browser.url}/desk/reset", headers={"Origin": origin}, timeout=30)
        assert told.status_code == 403
        told = requests.post(f"{browser.url}/desk/api/reset", headers={"Origin": origin}, timeout=30)
        assert told.status_code == 403
    told = requests.post(f"{browser.url}/desk/api/clock", data={"advance_seconds": "5"}, timeout=30)
    assert told.status_code == 415


def test_people_and_events_can_be_added(desk: Desk, browser: Browser) -> None:
    desk("POST", "accounts", address="nestor@contoso.example", name="Nestor Wilke", events=False)
    made = desk("POST", "accounts/nestor@contoso.example/events", count=120)["ids"]
    assert len(set(made)) == 120
    assert desk.account("nestor@contoso.example")["calendars"][0]["events"] == 120
    graph = Graph(browser.url, browser.connect("nestor@contoso.example")["access_token"])
    assert graph.get("me/events?$count=true")["@odata.count"] == 120


def test_reset_forgets_everything(graph: Graph, desk: Desk) -> None:
    desk("POST", "clock", advance_seconds=5000)
    desk("POST", "reset")
    assert abs(desk("GET", "clock")["offset_seconds"]) < 1
    assert desk.account("adele@contoso.example")["grants"] == []
    assert graph("GET", "me").status_code == 401


def test_calendars_and_particular_events_can_be_added(desk: Desk, graph: Graph) -> None:
    at = "accounts/adele@contoso.example"
    made = desk("POST", f"{at}/calendars", name="Shared with me", can_edit=False)
    told = {
        "subject": "Every Monday",
        "start": {"dateTime": "2026-03-02T09:00:00", "timeZone": "Europe/London"},
        "end": {"dateTime": "2026-03-02T10:00:00", "timeZone": "Europe/London"},
        "recurrence": {
            "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": ["monday"]},
            "range": {"type": "numbered", "startDate": "2026-03-02", "numberOfOccurrences": 3},
        },
    }
    desk("POST", f"{at}/events", events=[told], calendar="Shared with me")
    window = "startDateTime=2026-03-01T00:00:00Z&endDateTime=2026-04-01T00:00:00Z"
    rows = graph.get(f"me/calendars/{made['id']}/calendarView?{window}")["value"]
    assert [row["subject"] for row in rows] == ["Every Monday"] * 3
    refused = graph("POST", f"me/calendars/{made['id']}/events", json=told)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "ErrorAccessDenied")
    desk("DELETE", f"{at}/calendars/{made['id']}")
    assert graph("GET", f"me/calendars/{made['id']}").status_code == 404


def test_a_neighbour_on_another_port_cannot_press_the_levers(browser: Browser) -> None:
    told = requests.post(f"{browser.url}/desk/reset", headers={"Origin": "http://127.0.0.1:1"}, timeout=30)
    assert told.status_code == 403
    told = requests.post(f"{browser.url}/desk/mend", headers={"Origin": browser.url}, timeout=30, allow_redirects=False)
    assert told.status_code == 303

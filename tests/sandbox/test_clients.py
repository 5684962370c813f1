"""Clients that others wrote for the real Microsoft, unchanged, over verified TLS and under Microsoft's own names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msal
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from O365 import Account
from O365.utils.token import MemoryTokenBackend

from portal.sandbox.server import Server

from .conftest import CALLBACK, Browser, Desk
from .test_discovery import certificate as client_certificate
from .tls import microsoft

pytestmark = pytest.mark.filterwarnings("ignore:response_mode=:UserWarning")
SCOPES = ["User.Read", "Calendars.ReadWrite"]


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with microsoft(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def person(there: Server) -> Browser:
    return Browser(there.url, there.config)


def accepted(person: Browser, url: str, address: str = "adele@contoso.example") -> dict[str, str]:
    """Open an address that a library made, sign in, accept; what comes back."""
    page = person.send("get", url)
    if address in page.buttons:
        page = page.press(address)
    return (page.press("Accept") if "Accept" in page.buttons else page).returned


def application(there: Server, **more: Any) -> msal.ConfidentialClientApplication:
    given = {"client_credential": there.config.client_secret, "authority": f"{there.url}/common", **more}
    return msal.ConfidentialClientApplication(there.config.client_id, **given)


def test_it_works(there: Server, person: Browser) -> None:
    app = application(there)
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=CALLBACK, login_hint="adele@contoso.example")
    assert "code_challenge=" in flow["auth_uri"] and "client_info=1" in flow["auth_uri"]
    told = app.acquire_token_by_auth_code_flow(flow, accepted(person, flow["auth_uri"]))
    assert "access_token" in told, told
    assert told["id_token_claims"]["preferred_username"] == "adele@contoso.example"
    account = app.get_accounts()[0]
    assert account["environment"] == "login.microsoftonline.com"
    assert account["home_account_id"].endswith(".11111111-2222-4333-8444-555555555555")
    assert app.acquire_token_silent(SCOPES, account)["access_token"] == told["access_token"]
    fresh = app.acquire_token_silent(SCOPES, account, force_refresh=True)
    assert fresh["access_token"] != told["access_token"]


def test_msal_takes_a_personal_account(there: Server, person: Browser) -> None:
    app = application(there, authority=f"{there.url}/consumers")
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=CALLBACK)
    told = app.acquire_token_by_auth_code_flow(flow, accepted(person, flow["auth_uri"], "megan@outlook.example"))
    assert told["id_token_claims"]["tid"] == "9188040d-6c67-4c5b-b112-36a304b66dad", told


def test_msal_hears_why_a_token_is_refused(there: Server, person: Browser) -> None:
    app = application(there)
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=CALLBACK)
    app.acquire_token_by_auth_code_flow(flow, accepted(person, flow["auth_uri"]))
    account = app.get_accounts()[0]
    Desk(there.url)("POST", "accounts/adele@contoso.example/withdraw")
    told = app.acquire_token_silent_with_error(SCOPES, account, force_refresh=True)
    assert (told["error"], told["suberror"]) == ("invalid_grant", "consent_required")


def test_msal_proves_itself_by_certificate(there: Server, person: Browser) -> None:
    key, cert = client_certificate()
    pem = cert.public_bytes(serialization.Encoding.PEM).decode()
    Desk(there.url)("PATCH", f"applications/{there.config.client_id}", certificates=[pem])
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    for credential in (
        {"private_key": private, "thumbprint": cert.fingerprint(hashes.SHA1()).hex()},  # noqa: S303  x5t is SHA-1
        {"private_key": private, "public_certificate": pem},
    ):
        app = application(there, client_credential=credential)
        flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=CALLBACK)
        told = app.acquire_token_by_auth_code_flow(flow, accepted(person, flow["auth_uri"]))
        assert "access_token" in told, told


def test_msal_gets_a_token_for_the_application(there: Server) -> None:
    desk = Desk(there.url)
    desk("PATCH", f"tenants/contoso.example/applications/{there.config.client_id}", app_roles=["Directory.Read.All"])
    app = application(there, authority=f"{there.url}/contoso.example")
    told = app.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    assert "access_token" in told, told


def test_msal_handles_a_claims_challenge(there: Server, person: Browser) -> None:
    app = application(there, client_capabilities=["CP1"])
    flow = app.initiate_auth_code_flow(SCOPES, redirect_uri=CALLBACK)
    told = app.acquire_token_by_auth_code_flow(flow, accepted(person, flow["auth_uri"]))
    # MSAL writes CP1, Microsoft's pages write cp1: both count.
    assert told["expires_in"] == 28 * 3600
    Desk(there.url)("POST", "accounts/adele@contoso.example/revoke-sessions")
    challenge = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    told = app.acquire_token_silent_with_error(SCOPES, app.get_accounts()[0], claims_challenge=challenge)
    assert (told["error"], told["error_codes"]) == ("invalid_grant", [50173])


@pytest.fixture
def account(there: Server, person: Browser) -> Account:
    """O365's own way of connecting, with its own scopes."""
    held = Account(
        (there.config.client_id, there.config.client_secret), token_backend=MemoryTokenBackend(), requests_delay=0
    )
    url, flow = held.get_authorization_url(
        requested_scopes=held.protocol.get_scopes_for(["basic", "calendar_all"]), redirect_uri=CALLBACK
    )
    told = accepted(person, url)
    answer = f"{CALLBACK}?" + "&".join(f"{key}={value}" for key, value in told.items())
    assert held.request_token(answer, flow=flow)
    assert held.is_authenticated
    return held


def test_o365_reads_calendars_and_events(account: Account) -> None:
    schedule = account.schedule()
    assert {calendar.name for calendar in schedule.list_calendars()} == {"Calendar", "Product launch", "Family"}
    calendar = schedule.get_default_calendar()
    now = datetime.now(calendar.protocol.timezone)
    events = list(
        calendar.get_events(
            limit=None,
            batch=7,
            include_recurring=True,
            start_recurring=now - timedelta(days=7),
            end_recurring=now + timedelta(days=30),
        )
    )
    assert len(events) > 25
    assert {"Stand-up", "Dentist", "Public holiday"} <= {event.subject for event in events}
    assert any(event.is_all_day for event in events)


def test_o365_writes_changes_and_deletes_an_event(account: Account, there: Server) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Made by a library")
    event.start = datetime(2031, 5, 6, 10, 0, tzinfo=calendar.protocol.timezone)
    event.end = datetime(2031, 5, 6, 11, 0, tzinfo=calendar.protocol.timezone)
    event.location = "Somewhere"
    assert event.save()
    event.subject = "Changed by a library"
    assert event.save()
    query = calendar.new_query().equals("subject", "Changed by a library")
    found = list(calendar.get_events(query=query, include_recurring=False))
    assert [each.object_id for each in found] == [event.object_id]
    assert found[0].start == event.start
    assert event.delete()
    rows = Desk(there.url)("GET", "accounts/adele@contoso.example/events?subject=Changed by a library")
    assert rows == []


def test_o365_makes_a_series(account: Account) -> None:
    calendar = account.schedule().get_default_calendar()
    event = calendar.new_event("Every other Tuesday")
    event.start = datetime(2031, 5, 6, 10, 0, tzinfo=calendar.protocol.timezone)
    event.recurrence.set_weekly(
        2, days_of_week=["tuesday"], first_day_of_week="monday", start=event.start.date(), occurrences=3
    )
    assert event.save()
    seen = list(
        calendar.get_events(
            include_recurring=True,
            start_recurring=event.start - timedelta(days=1),
            end_recurring=event.start + timedelta(days=60),
        )
    )
    assert [each.start.day for each in seen if each.subject == "Every other Tuesday"] == [6, 20, 3]


def test_o365_makes_and_removes_a_calendar(account: Account) -> None:
    schedule = account.schedule()
    made = schedule.new_calendar("From a library")
    assert made.update() or made.name == "From a library"
    assert schedule.get_calendar(calendar_name="From a library").delete()


def test_o365_refreshes_by_itself(account: Account, there: Server) -> None:
    Desk(there.url)("POST", "accounts/adele@contoso.example/expire-tokens", kinds=["access"])
    for cached in account.connection.token_backend._cache["AccessToken"].values():
        cached["expires_on"] = "0"  # the library's own clock has to see it, too
    assert account.get_current_user_data().mail == "adele@contoso.example"

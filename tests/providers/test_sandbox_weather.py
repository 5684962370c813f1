"""Bad weather ordered at the sandbox's desk: one call meets it, the next one works again."""

from __future__ import annotations

from typing import Any

import pytest

from portal.providers.base import AccessEnded, Busy, Grant, ProviderError, Rejected, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from portal.sandbox.server import Server
from tests.providers import person
from tests.providers.conftest import at_sandbox


@pytest.fixture(scope="module")
def outlook(server: Server) -> OutlookProvider:
    """One provider for all of this file: each misfortune is met once and then over."""
    return at_sandbox(server)


@pytest.fixture(scope="module")
def grant(outlook: OutlookProvider) -> Grant:
    """Adele, connected once for all of this file."""
    return person.connect(outlook)


@pytest.fixture
def desk(server: Server) -> person.Desk:
    """The desk; nothing is reset between these tests."""
    return person.Desk(server.url)


def test_it_works(outlook: OutlookProvider, grant: Grant) -> None:
    assert outlook.calendars(grant.tokens.access_token)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("status", {"status": 503, "retry_after": "2.128"}, Unreachable),
        ("status", {"status": 403}, AccessEnded),
        ("status", {"status": 403, "code": "accessDenied"}, Rejected),
        ("throttle", {"retry_after": "1.5"}, Busy),
        ("throttle", {}, Busy),
        ("drop", {}, Unreachable),
        ("drop_after", {}, Unreachable),
        ("half", {}, Unreachable),
        ("not_json", {}, Unreachable),
        ("wrong_json", {}, Unreachable),
        ("empty", {}, Unreachable),
        ("endless", {}, Unreachable),
        ("redirect", {"location": "https://evil.example/"}, Unreachable),
    ],
)
def test_bad_weather_at_graph(
    outlook: OutlookProvider, desk: person.Desk, grant: Grant, kind: str, more: Any, expected: type[ProviderError]
) -> None:
    desk.fault(kind, "calendars", **more)
    with pytest.raises(expected) as caught:
        outlook.calendars(grant.tokens.access_token)
    if "retry_after" in more:
        assert caught.value.retry_after == float(more["retry_after"])
    assert outlook.calendars(grant.tokens.access_token), "the next call works again"


@pytest.mark.parametrize("kind", ["drop", "half", "not_json", "wrong_json", "empty", "endless", "redirect"])
def test_bad_weather_at_the_token_endpoint(
    outlook: OutlookProvider, desk: person.Desk, grant: Grant, kind: str
) -> None:
    desk.fault(kind, "token")
    with pytest.raises(Unreachable):
        outlook.refresh(grant.tokens.refresh_token or "")
    assert outlook.refresh(grant.tokens.refresh_token or "").refresh_token


def test_a_slow_microsoft_is_left_in_time(server: Server, desk: person.Desk, grant: Grant) -> None:
    patient = at_sandbox(server, timeout=0.7)
    for kind, delay in (("drip", 0.05), ("delay", 1.5)):
        desk.fault(kind, "calendars", delay=delay)
        with pytest.raises(Unreachable):
            patient.calendars(grant.tokens.access_token)


def test_a_wrong_label_does_not_matter(outlook: OutlookProvider, desk: person.Desk, grant: Grant) -> None:
    desk.fault("content_type", "calendars", content_type="text/html")
    assert outlook.calendars(grant.tokens.access_token)

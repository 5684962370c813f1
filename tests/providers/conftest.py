"""The provider under test, pointed at a server that answers as told, in a world where it is always 2 March 2026."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.fake import Fake, serving
from tests.providers.genuine import CLIENT_ID, CLIENT_SECRET, DISCOVERY, KEYS, NOW, discovery, public_key


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or a netrc of the machine must not reach into tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NETRC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A running server, laid out like Microsoft's, with discovery, keys, a profile and one calendar."""
    with serving(Fake()) as world:
        world.on(DISCOVERY, discovery(world.url))
        world.on(KEYS, {"keys": [public_key()]})
        world.on("GET /v1.0/me", {"mail": "adele@contoso.example", "displayName": "Adele Vance"})
        world.on("GET /v1.0/me/calendar", {"id": "cal-1", "name": "Calendar", "isDefaultCalendar": True})
        yield world


@pytest.fixture
def provider(fake: Fake) -> OutlookProvider:
    """A provider for one origin that is authority and Graph at once."""
    return make_provider(fake.url)


def make_provider(url: str, timeout: float = 5, *, tenant: str = "common") -> OutlookProvider:
    """The same for another origin, patience or tenant."""
    return OutlookProvider(
        url, url, tenant, CLIENT_ID, CLIENT_SECRET, timeout, "Coordinoter/test (+http://127.0.0.1)", now=lambda: NOW
    )

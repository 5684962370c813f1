"""Discovery: asked once an hour, believed only when it names addresses that may be used."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.providers.base import Unreachable
from portal.providers.outlook.discovery import Discovery
from portal.providers.outlook.http import Line
from portal.providers.outlook.outlook import OutlookProvider
from portal.providers.outlook.wire import Wire
from tests.providers.fake import Fake
from tests.providers.genuine import DISCOVERY, NOW, REDIRECT, discovery, public_key


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    assert provider.begin_sign_in(REDIRECT).url.startswith(f"{fake.url}/common/oauth2/v2.0/authorize?")
    provider.begin_sign_in(REDIRECT)
    assert len(fake.calls(DISCOVERY)) == 1
    assert "Authorization" not in fake.calls(DISCOVERY)[0].headers


def test_it_is_asked_again_after_an_hour(fake: Fake) -> None:
    time = [NOW]

    def now() -> datetime:
        return time[0]

    found = Discovery(Line(Wire(5), "test", now), f"{fake.url}/common/v2.0/.well-known/openid-configuration")
    found.metadata()
    time[0] = NOW + timedelta(minutes=59)
    found.metadata()
    assert len(fake.calls(DISCOVERY)) == 1
    time[0] = NOW + timedelta(minutes=61)
    found.metadata()
    assert len(fake.calls(DISCOVERY)) == 2
    time[0] = NOW - timedelta(minutes=1)  # a clock set back
    found.metadata()
    assert len(fake.calls(DISCOVERY)) == 3
    assert found.keys()[0]["kid"] == public_key()["kid"]


@pytest.mark.parametrize(
    "changed",
    [
        {"token_endpoint": "http://login.microsoftonline.com/token"},
        {"token_endpoint": "http://127.0.0.1.evil.example/token"},
        {"token_endpoint": "https://user@evil.example/token"},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": "https://[half/token"},
        {"token_endpoint": "https://host:port/token"},
        {"token_endpoint": "/token"},
        {"token_endpoint": 7},
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": "http://evil.example/keys"},
        {"revocation_endpoint": "http://evil.example/revoke"},
        {"issuer": None},
        {"issuer": 7},
    ],
)
def test_an_unsafe_document_is_not_believed(provider: OutlookProvider, fake: Fake, changed: dict[str, Any]) -> None:
    fake.on(DISCOVERY, discovery(fake.url, **changed))
    with pytest.raises(Unreachable):
        provider.begin_sign_in(REDIRECT)


@pytest.mark.parametrize("answer", [(404, {}, {}), (500, b"", {}), (200, b"[]", {}), (200, b"\xff\xfe\x00", {})])
def test_a_document_that_cannot_be_had(provider: OutlookProvider, fake: Fake, answer: Any) -> None:
    fake.on(DISCOVERY, answer)
    with pytest.raises(Unreachable):
        provider.can_revoke()
    fake.on(DISCOVERY, discovery(fake.url))
    assert provider.can_revoke() is False


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "[::1]"])
def test_plain_http_is_for_this_machine(provider: OutlookProvider, fake: Fake, host: str) -> None:
    fake.on(DISCOVERY, discovery(fake.url, authorization_endpoint=f"http://{host}:1/authorize"))
    assert provider.begin_sign_in(REDIRECT).url.startswith(f"http://{host}:1/authorize?")

"""National clouds: every address follows the settings, and nothing of one cloud goes to another. Never `cp1`."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter

from portal.config import load
from portal.providers.base import AccountKind, Rejected
from portal.providers.outlook.outlook import OutlookProvider
from portal.providers.outlook.wire import Wire
from portal.sandbox.server import Server
from tests.providers import person
from tests.providers.genuine import NOW, REDIRECT, TENANT, discovery, token_answer
from tests.test_config import GOOD

CLOUDS = [
    ("https://login.microsoftonline.com", "https://graph.microsoft.com"),
    ("https://login.microsoftonline.us", "https://graph.microsoft.us"),
    ("https://login.microsoftonline.us", "https://dod-graph.microsoft.us"),
    ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn"),
]
HELD = {"id": "g", "clientId": "sp", "consentType": "Principal", "principalId": "oid", "scope": "User.Read"}


@dataclass
class Cloud(BaseAdapter):
    """A cloud that answers everything asked of it, and remembers who was asked."""

    authority: str
    asked: list[PreparedRequest] = field(default_factory=list)

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:  # type: ignore[override]
        """Answer by the end of the path."""
        self.asked.append(request)
        parts = urlsplit(str(request.url))
        status, answer = 200, self._answer(parts.path)
        if request.method == "DELETE":
            status, answer = 204, b""
        raw = urllib3.HTTPResponse(io.BytesIO(answer), status=status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def _answer(self, path: str) -> bytes:
        tenant = path.split("/")[1]
        answers: dict[str, Any] = {
            "openid-configuration": discovery(
                self.authority,
                authorization_endpoint=f"{self.authority}/{tenant}/oauth2/v2.0/authorize",
                token_endpoint=f"{self.authority}/{tenant}/oauth2/v2.0/token",
            ),
            "token": token_answer(),
            "calendars": {"value": [], "@odata.nextLink": None},
            "oauth2PermissionGrants": {"value": [HELD]},
        }
        return json.dumps(answers.get(path.rsplit("/", 1)[-1], {"id": "sp"})).encode()

    def close(self) -> None:
        """Nothing is held."""


def provider_of(authority: str, graph: str, tenant: str = "organizations") -> tuple[OutlookProvider, Cloud]:
    """The provider that these settings make, in its cloud."""
    settings = load(
        {**GOOD, "MICROSOFT_AUTHORITY": authority, "MICROSOFT_GRAPH_URL": graph, "MICROSOFT_TENANT": tenant}
    )
    cloud = Cloud(settings.microsoft_authority)
    made = OutlookProvider(
        settings.microsoft_authority,
        settings.microsoft_graph_url,
        settings.microsoft_tenant,
        settings.microsoft_client_id,
        settings.microsoft_client_secret,
        settings.remote_timeout,
        "Coordinoter/test",
        now=lambda: NOW,
        adapter=cloud,
    )
    return made, cloud


def test_it_works() -> None:
    settings = load(GOOD)
    assert (settings.microsoft_authority, settings.microsoft_graph_url) == CLOUDS[0], "unless told otherwise"


@pytest.mark.parametrize(("authority", "graph"), CLOUDS)
def test_every_address_follows_the_settings(authority: str, graph: str) -> None:
    provider, cloud = provider_of(authority, graph)
    assert provider.begin_sign_in(REDIRECT).url.startswith(f"{authority}/organizations/oauth2/v2.0/authorize?")
    assert provider.begin_consent_check(REDIRECT).url.startswith(f"{authority}/organizations/oauth2/v2.0/authorize?")
    provider.refresh("refresh-1")
    provider.calendars("access-1")
    provider.withdraw_consent(TENANT, "oid")
    urls = [str(request.url) for request in cloud.asked]
    assert urls[0] == f"{authority}/organizations/v2.0/.well-known/openid-configuration"
    assert f"{authority}/organizations/oauth2/v2.0/token" in urls
    assert f"{graph}/v1.0/me/calendars" in urls
    assert f"{authority}/{TENANT}/oauth2/v2.0/token" in urls
    assert {f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" for url in urls} == {authority, graph}
    of_application = next(str(each.body) for each in cloud.asked if f"/{TENANT}/oauth2/v2.0/token" in str(each.url))
    assert parse_qs(of_application)["scope"] == [f"{graph}/.default"]
    assert provider.handover(REDIRECT).approve.startswith(f"{authority}/")
    assert provider.consent_page(AccountKind.WORK).url.startswith("https://myapps.")


@pytest.mark.parametrize(("authority", "graph"), CLOUDS[1:])
def test_a_token_of_one_cloud_never_goes_to_another(authority: str, graph: str) -> None:
    provider, cloud = provider_of(authority, graph)
    with pytest.raises(Rejected):
        provider.next_changes("access-1", "https://graph.microsoft.com/v1.0/me/calendarView/delta?$skiptoken=1")
    assert cloud.asked == []


class Listening(Wire):
    """The true transport, which also remembers everything that was sent."""

    def __init__(self, heard: list[str]) -> None:
        self.heard = heard
        super().__init__(5)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send it, and keep it."""
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
        self.heard.append(f"{request.url}&{body}")
        return super().send(request, *args, **kwargs)


def test_no_request_ever_declares_cp1(server: Server, desk: person.Desk) -> None:
    """It would make tokens live up to 28 hours. https://learn.microsoft.com/entra/identity-platform/claims-challenge"""
    heard: list[str] = []
    config = server.config
    provider = OutlookProvider(
        server.url,
        server.url,
        "common",
        config.client_id,
        config.client_secret,
        5,
        "Coordinoter/test",
        adapter=Listening(heard),
    )
    desk("PATCH", f"tenants/contoso.example/applications/{config.client_id}", app_roles=["Directory.ReadWrite.All"])
    grant = person.connect(provider)
    heard += [
        provider.begin_sign_in(REDIRECT, login_hint="a@b.example").url,
        provider.begin_consent_check(REDIRECT).url,
    ]
    tokens = provider.refresh(grant.tokens.refresh_token or "")
    calendar = provider.calendars(tokens.access_token)[0]
    person.full_round(provider, tokens.access_token, calendar.id)
    list(provider.subscriptions(tokens.access_token))
    provider.withdraw_consent(grant.account.tenant, grant.account.subject)
    assert len(heard) > 10
    assert grant.tokens.expires_at - datetime.now(UTC) <= timedelta(minutes=90)
    for sent in heard:
        asked = parse_qs(urlsplit(sent).query)
        assert "claims" not in asked and "xms_cc" not in sent and ["cp1"] not in asked.values()
        for value in (one for values in asked.values() for one in values):
            assert '"cp1"' not in value and not _hidden(value)


def _hidden(value: str) -> bool:
    """Whether a value is base64 of something that names the capability."""
    try:
        return b"xms_cc" in base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except ValueError:
        return False

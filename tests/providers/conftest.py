"""A Microsoft of a few lines that answers whatever a test tells it, however odd, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from portal.providers.outlook.outlook import OutlookProvider

CLIENT_ID = "portal-client"
CLIENT_SECRET = "portal-secret-of-the-tests"
REDIRECT = "http://127.0.0.1:8000/integrations/outlook-calendar/callback"
TENANT = "11111111-2222-4333-8444-555555555555"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Asked:
    """One call that reached the server."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Answer = tuple[int, Any, dict[str, str]]
Odd = Callable[[Any], None]


@dataclass
class Fake:
    """The server's answers by method and path. A list is used up one by one, its last entry for ever."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def on(self, route: str, *answers: Any) -> None:
        """`route` is "GET /path". An answer: JSON, (status, JSON or bytes, headers), or a function of the handler."""
        self.answers[route] = list(answers)

    def calls(self, route: str) -> list[Asked]:
        """What was asked of one route."""
        return [call for call in self.asked if f"{call.method} {call.path}" == route]

    def answer(self, handler: Any) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.asked.append(Asked(handler.command, parts.path, parse_qs(parts.query), dict(handler.headers), body))
        waiting = self.answers.get(f"{handler.command} {parts.path}") or [(404, {"error": {"code": "NotFound"}}, {})]
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(found):
            found(handler)
            return
        status, content, headers = found if isinstance(found, tuple) else (200, found, {})
        payload = content if isinstance(content, bytes) else json.dumps(content).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(payload)), "request-id": "server-7", **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(payload)


@pytest.fixture(autouse=True)
def no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or a netrc of the machine must not reach into tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "NETRC"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def fake() -> Iterator[Fake]:
    """A running server, laid out like Microsoft's, with discovery, keys, a profile and one calendar."""
    world = Fake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            world.answer(self)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    world.url = f"http://127.0.0.1:{server.server_port}"
    world.on("GET /common/v2.0/.well-known/openid-configuration", discovery(world.url))
    world.on("GET /common/discovery/v2.0/keys", {"keys": [public_key()]})
    world.on("GET /v1.0/me", {"mail": "adele@contoso.example", "displayName": "Adele Vance"})
    world.on("GET /v1.0/me/calendar", {"id": "cal-1", "name": "Calendar", "isDefaultCalendar": True, "canEdit": True})
    yield world
    server.shutdown()
    server.server_close()


@pytest.fixture
def provider(fake: Fake) -> OutlookProvider:
    """The provider under test, pointed at the server, in a world where it is always 2 March 2026."""
    return make_provider(fake.url)


def make_provider(url: str, timeout: float = 5) -> OutlookProvider:
    """A provider for one origin that is authority and Graph at once."""
    return OutlookProvider(
        url, url, "common", CLIENT_ID, CLIENT_SECRET, timeout, "Coordinoter/test (+http://127.0.0.1)", now=lambda: NOW
    )


def discovery(url: str, **changed: Any) -> dict[str, Any]:
    """A discovery document as Microsoft's `common` has it."""
    document = {
        "issuer": f"{url}/{{tenantid}}/v2.0",
        "authorization_endpoint": f"{url}/common/oauth2/v2.0/authorize",
        "token_endpoint": f"{url}/common/oauth2/v2.0/token",
        "jwks_uri": f"{url}/common/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
    }
    return {name: value for name, value in {**document, **changed}.items() if value is not None}


_KEYS: dict[str, RSAKey] = {}


def key(kid: str = "key-1") -> RSAKey:
    """A signing key of the test's own, made once per run."""
    if kid not in _KEYS:
        _KEYS[kid] = RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})
    return _KEYS[kid]


def public_key(kid: str = "key-1", **extra: Any) -> dict[str, Any]:
    """The public half, as a JWKS shows it."""
    return {**key(kid).as_dict(private=False), **extra}


def id_token(url: str, nonce: str, kid: str = "key-1", **changed: Any) -> str:
    """A genuine id_token for Adele, unless changed. A claim set to None is left out."""
    now = int(NOW.timestamp())
    claims = {
        "iss": f"{url}/{TENANT}/v2.0",
        "aud": CLIENT_ID,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "nonce": nonce,
        "sub": "pairwise-adele",
        "tid": TENANT,
        "oid": "oid-adele",
        "preferred_username": "adele@contoso.example",
        "name": "Adele Vance",
        **changed,
    }
    return jwt.encode(
        {"alg": "RS256", "kid": kid}, {name: value for name, value in claims.items() if value is not None}, key(kid)
    )


def token_answer(**changed: Any) -> dict[str, Any]:
    """A successful answer of the token endpoint."""
    answer = {
        "token_type": "Bearer",
        "scope": "openid profile https://graph.microsoft.com/User.Read https://graph.microsoft.com/Calendars.ReadWrite",
        "expires_in": 3599,
        "access_token": "access-1",
        "refresh_token": "refresh-1",
        **changed,
    }
    return {name: value for name, value in answer.items() if value is not None}

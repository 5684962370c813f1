"""The provider under test: against a server that answers as told, where it is always 2 March 2026, or the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.providers.base import Grant
from portal.providers.outlook.outlook import OutlookProvider
from portal.sandbox import Config, run_in_thread
from portal.sandbox.server import Server
from tests.providers import person
from tests.providers.fake import Fake, serving
from tests.providers.genuine import CLIENT_ID, CLIENT_SECRET, DISCOVERY, KEYS, NOW, REDIRECT, discovery, public_key

Hook = tuple[str, list[bytes]]


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


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A sandbox Microsoft, one for all tests of a file."""
    with run_in_thread(Config(port=0, redirect_uris=(REDIRECT,))) as running:
        yield running


@pytest.fixture
def desk(server: Server) -> person.Desk:
    """The desk of a sandbox as on its first day."""
    desk = person.Desk(server.url)
    desk("POST", "reset")
    desk("DELETE", "faults")
    return desk


@pytest.fixture
def outlook(server: Server, desk: person.Desk) -> OutlookProvider:
    """The provider against the sandbox, at the true time."""
    return at_sandbox(server)


def at_sandbox(server: Server, *, secret: str = "", timeout: float = 5) -> OutlookProvider:
    """The same with another secret or less patience."""
    config = server.config
    return OutlookProvider(
        server.url, server.url, "common", config.client_id, secret or config.client_secret, timeout, "Coordinoter/test"
    )


@pytest.fixture
def grant(outlook: OutlookProvider) -> Grant:
    """Adele, connected."""
    return person.connect(outlook)


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook that answers the handshake and keeps what is delivered."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0].encode()
            if not token:
                received.append(body)
            self.send_response(200 if token else 202)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(token)))
            self.end_headers()
            self.wfile.write(token)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/hook", received
    http.shutdown()
    http.server_close()

"""Recording cassettes: against the sandbox, or by hand against a real tenant.

    MICROSOFT_CLIENT_ID=.. MICROSOFT_CLIENT_SECRET=.. MICROSOFT_REDIRECT_URI=.. python -m tests.providers.record

MICROSOFT_AUTHORITY, MICROSOFT_GRAPH_URL and MICROSOFT_TENANT are heeded too. It prints an address to sign in at, and
asks for the address that the browser was sent back to. Take an account made for this: what is recorded is redacted
(redact.py), but a mailbox of test data is better than a redacted one of somebody's. Only scenes that change nothing at
Microsoft are recorded there. Look at the difference before you commit it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from requests import PreparedRequest, Response

from portal.providers.outlook.outlook import OutlookProvider
from portal.providers.outlook.wire import Wire
from portal.sandbox import Config, run_in_thread
from tests.providers import person, scenes
from tests.providers.cassettes import GRAPH, LOGIN, NOTE, SANDBOX, Redacted, cassette
from tests.providers.genuine import CLIENT_ID, CLIENT_SECRET, REDIRECT
from tests.providers.scenes import HOOK, Stage


class Detour(Wire):
    """The provider's transport, but what goes to `LOGIN` or `GRAPH` arrives at the sandbox."""

    def __init__(self, target: str) -> None:
        self.target = target
        super().__init__(10)

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Send it there, under the name that it was meant for."""
        copy = request.copy()
        for origin in (LOGIN, GRAPH):
            if str(request.url).startswith(f"{origin}/"):
                copy.url = self.target + str(request.url).removeprefix(origin)
                copy.headers["Host"] = urlsplit(origin).netloc
        return super().send(copy, *args, **kwargs)


@contextmanager
def sandbox_stage(name: str) -> Iterator[Stage]:
    """A sandbox of its own for one scene, recorded under the cassettes' origins."""
    config = Config(0, CLIENT_ID, CLIENT_SECRET, (REDIRECT,), public_url=LOGIN, graph_url=GRAPH)
    with run_in_thread(config) as server, webhook() as hook:
        Redacted.constants, Redacted.recorded_with, Redacted.note = {hook: HOOK}, SANDBOX, NOTE
        with cassette(name, Detour(server.url)) as adapter:
            yield Stage(
                OutlookProvider(
                    LOGIN, GRAPH, "common", CLIENT_ID, CLIENT_SECRET, 10, "Coordinoter/test", adapter=adapter
                ),
                sign_in=lambda url: person.sign_in(url.replace(LOGIN, server.url), scenes.ADELE),
                desk=person.Desk(server.url),
                hook=hook,
                rename=rename,
                now=datetime.now(UTC),
            )


def rename(value: str, name: str) -> None:
    """Write `name` wherever `value` would stand."""
    Redacted.constants = {**Redacted.constants, value: name}


@contextmanager
def webhook() -> Iterator[str]:
    """An address on this machine that answers the handshake."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0].encode()
            self.send_response(200 if token else 202)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(token)))
            self.end_headers()
            self.wfile.write(token)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{http.server_port}/webhook"
    http.shutdown()
    http.server_close()


def by_hand(url: str) -> dict[str, str]:
    """Let a person sign in, and read where their browser ended up."""
    print(f"\nSign in here:\n{url}\n")
    return dict(parse_qsl(urlsplit(input("Address you were sent back to: ").strip()).query))


def real_tenant(environ: Mapping[str, str]) -> None:
    """Record the scenes that only read."""
    login = environ.get("MICROSOFT_AUTHORITY", "https://login.microsoftonline.com")
    target = environ.get("MICROSOFT_GRAPH_URL", "https://graph.microsoft.com")
    client, secret = environ["MICROSOFT_CLIENT_ID"], environ["MICROSOFT_CLIENT_SECRET"]
    tenant, redirect = environ.get("MICROSOFT_TENANT", "common"), environ["MICROSOFT_REDIRECT_URI"]
    Redacted.constants = {login: LOGIN, target: GRAPH, client: CLIENT_ID, tenant: "common", redirect: REDIRECT}
    Redacted.recorded_with = "through the real provider code, against a real tenant"
    Redacted.note = "Recorded at Microsoft, redacted."
    for scene in (scenes.sign_in, scenes.refresh, scenes.profile, scenes.calendars):
        with cassette(scene.__name__, Wire(15)) as adapter:
            provider = OutlookProvider(
                login, target, tenant, client, secret, 15, "Coordinoter/recorder", adapter=adapter
            )
            scene(Stage(provider, sign_in=by_hand, now=datetime.now(UTC), redirect=redirect))


if __name__ == "__main__":
    real_tenant(os.environ)

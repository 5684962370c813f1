"""A Microsoft of a few lines that answers whatever a test tells it, however odd, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Odd = Callable[[BaseHTTPRequestHandler], None]


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

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.asked.append(Asked(handler.command, parts.path, parse_qs(parts.query), dict(handler.headers), body))
        waiting = self.answers.get(f"{handler.command} {parts.path}") or [(404, {"error": {"code": "NotFound"}}, {})]
        found = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(found):
            found(handler)
        else:
            send(handler, *(found if isinstance(found, tuple) else (200, found, {})))


def send(handler: BaseHTTPRequestHandler, status: int, content: Any, headers: Mapping[str, str]) -> None:
    """An answer as it should be."""
    payload = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    for name, value in {"Content-Length": str(len(payload)), "request-id": "server-7", **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(payload)


@contextmanager
def serving(world: Fake, tls: ssl.SSLContext | None = None) -> Iterator[Fake]:
    """Run it on a free port of this machine, behind TLS if told so."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            world.answer(self)

        do_POST = do_PATCH = do_DELETE = do_GET  # noqa: N815 - names that http.server looks for

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """A client that hangs up is what many of these tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    world.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    try:
        yield world
    finally:
        server.shutdown()
        server.server_close()

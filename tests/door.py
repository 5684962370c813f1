"""One address for the portals of all tests: Microsoft delivers notifications to it while a test's portal is open."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    def log(self, *_args: Any) -> None:
        """Addresses hold codes: nothing is printed."""


class Door:
    """A WSGI application that leads to the portal at hand, or answers 503 between two tests."""

    def __init__(self) -> None:
        self.app: Flask | None = None
        self.url = ""

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self.app is None:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b""]
        return self.app(environ, start_response)


@contextmanager
def open_door() -> Iterator[Door]:
    """A door on a free port, open for the length of a with block."""
    door = Door()
    server = make_server("127.0.0.1", 0, door, threaded=True, request_handler=_Quiet)
    door.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()

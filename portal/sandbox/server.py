"""Serving the sandbox on a socket: in a thread for tests, or until it is told to stop."""

from __future__ import annotations

import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .config import Config
from .storage import Storage
from .world import close

HOST = "127.0.0.1"


class QuietHandler(WSGIRequestHandler):
    """Answers without a word on the terminal: addresses hold codes and tokens."""

    disable_nagle_algorithm = True  # headers and body are two writes, and would wait for each other

    def log_request(self, *_args: Any, **_more: Any) -> None:
        return

    def log(self, kind: str, message: str, *args: Any) -> None:
        return


@dataclass(frozen=True, slots=True)
class Server:
    """A running sandbox: `url` is its origin, `storage` all it knows."""

    url: str
    storage: Storage
    app: Flask
    config: Config


def bind(app: Flask, port: int) -> BaseWSGIServer:
    """A listening server on the loopback address. Raises OSError when the port is taken."""
    # Werkzeug would end the process by itself when the port is taken; given a socket, it leaves that to us.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
        server = make_server(HOST, port, app, threaded=True, request_handler=QuietHandler, fd=listener.fileno())
    server.handle_error = _forget_the_hung_up  # type: ignore[method-assign, assignment]
    return server


def _forget_the_hung_up(_request: Any, _address: Any) -> None:
    """A caller that hung up is no news on the terminal; anything else is told as usual."""
    if not isinstance(sys.exception(), ConnectionError):
        traceback.print_exc()


def port_of(server: BaseWSGIServer) -> int:
    return int(server.socket.getsockname()[1])


@contextmanager
def run_in_thread(config: Config | None = None) -> Iterator[Server]:
    """A sandbox on a free port (or on `config.port` if that is not the usual one) for the length of a with block."""
    from . import create_app

    config = config or Config(port=0)
    app = create_app(config)
    server = bind(app, 0 if config.port == Config().port else config.port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Server(f"http://{HOST}:{port_of(server)}", app.extensions["sandbox"]["storage"], app, config)
    finally:
        server.shutdown()
        server.server_close()
        close(app)
        thread.join(5)

"""How each misfortune of the table is made: by an order at Microsoft's desk, or by an address where nobody answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter

PATIENCE, HASTE = 15.0, 1.0  # seconds that a call may take; little where slowness is the weather
AFTER = "0.3"  # of Retry-After

# Weather -> the order at the desk. Words in capitals are filled in when it is ordered.
ORDERS: dict[str, dict[str, Any]] = {
    "refused": {},  # a detour, below
    "reset": {"kind": "half"},
    "timeout": {"kind": "delay", "delay": HASTE * 1.5},
    "drip": {"kind": "drip", "delay": 0.2},
    **{number: {"kind": "status", "status": int(number)} for number in ("400", "401", "403", "404", "409", "410")},
    "429 in": {"kind": "throttle", "retry_after": AFTER},
    "429": {"kind": "throttle"},
    **{number: {"kind": "status", "status": int(number)} for number in ("500", "502", "503", "504")},
    "not json": {"kind": "not_json"},
    "wrong json": {"kind": "wrong_json", "body": json.dumps({"unexpected": [7, {"value": 7}]})},
    "empty": {"kind": "empty"},
    "endless": {"kind": "endless"},
    "redirect": {"kind": "redirect", "location": "ELSEWHERE"},
    "no tls": {},  # a detour, below
}

# What the token endpoint and the revocation endpoint say with these is an OAuth error, and each means something
# (RFC 6749 section 5.2).
AT_TOKEN: dict[str, dict[str, Any]] = {
    "400": {"aadsts": 50173},  # invalid_grant: the grant was revoked
    "401": {"aadsts": 7000215},  # invalid_client: our own secret is wrong
}

TENANT = "????????-????-????-????-????????????"  # a directory by its GUID, as against `common`

# Call -> where it goes.
TARGETS: dict[str, dict[str, Any]] = {
    "discovery": {"method": "GET", "path": "*/.well-known/openid-configuration"},
    "refresh": {"method": "POST", "path": "*/oauth2/v2.0/token"},
    "list": {"method": "GET", "path": "/v1.0/subscriptions"},
    "delete": {"method": "DELETE", "path": "/v1.0/subscriptions/*"},
    "look": {"method": "GET", "path": "/v1.0/me/events/*"},
    "remove": {"method": "DELETE", "path": "/v1.0/me/events/*"},
    "probe": {"method": "POST", "path": "*/oauth2/v2.0/token"},
    "probe_again": {"method": "POST", "path": "*/oauth2/v2.0/token", "skip": 1},
    "find": {"method": "GET", "path": "/v1.0/me/*events"},
    "directory": {"method": "GET", "path": f"/{TENANT}/v2.0/.well-known/openid-configuration"},
    "app_token": {"method": "POST", "path": f"/{TENANT}/oauth2/v2.0/token"},
    "principal": {"method": "GET", "path": "/v1.0/servicePrincipals*"},
    "grants": {"method": "GET", "path": "/v1.0/oauth2PermissionGrants"},
    "everyone": {"method": "GET", "path": "/v1.0/oauth2PermissionGrants", "skip": 1},
    "delete_grant": {"method": "DELETE", "path": "/v1.0/oauth2PermissionGrants/*"},
    "revoke": {"method": "POST", "path": "*/oauth2/v2.0/revoke"},
    "revoke_next": {"method": "POST", "path": "*/oauth2/v2.0/revoke", "skip": 1},
}


def order(call: str, weather: str, *, times: int | None, elsewhere: str) -> dict[str, Any]:
    """The order for the desk."""
    told = {**ORDERS[weather], **TARGETS[call], "times": times}
    if "/oauth2/" in told["path"]:
        told.update(AT_TOKEN.get(weather, {}))
    if told["method"] == "DELETE" and weather == "reset":
        told["kind"] = "drop"  # the true answer has no body to break off in
    if told.get("location"):
        told["location"] = elsewhere + "/v1.0/subscriptions"
    return told


class Elsewhere:
    """Another host: it listens, never speaks TLS, and keeps every byte that it is sent."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.heard: list[bytes] = []
        self.is_over = False

    def listen(self) -> None:
        """Answer everybody with a line of plain text, until it is over."""
        while True:
            line, _ = self.socket.accept()
            if self.is_over:
                line.close()
                return
            with line:
                line.settimeout(2)
                try:
                    self.heard.append(line.recv(65536))
                    line.sendall(b"220 this is not TLS\r\n")
                except OSError:
                    pass


@contextmanager
def another_host() -> Iterator[Elsewhere]:
    """Such a host, for the length of a with block."""
    made = Elsewhere()
    listening = threading.Thread(target=made.listen, daemon=True)
    listening.start()
    try:
        yield made
    finally:
        # A thread that still waits on a closed file's number may be given the callers of whoever gets that number next.
        made.is_over = True
        socket.create_connection(made.socket.getsockname()).close()
        listening.join()
        made.socket.close()


def closed_port() -> str:
    """An address at which nobody listens: the port was free a moment ago, and stays bound to nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"


@dataclass
class Detour(BaseAdapter):
    """The portal's own transport. The calls of the table's cell go through `hasty`, and to another address if told."""

    wire: BaseAdapter
    hasty: BaseAdapter
    method: str
    path: str
    skip: int = 0
    to: str = ""
    times: int | None = None
    led: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, request: PreparedRequest, *args: Any, **more: Any) -> Response:
        """Send as always, or as this cell wants it."""
        path = urlsplit(request.url).path
        if request.method != self.method or not fnmatchcase(path, self.path):
            return self.wire.send(request, *args, **more)
        with self.lock:
            if self.skip > 0:
                self.skip -= 1
                return self.wire.send(request, *args, **more)
            if self.times == 0:
                return self.wire.send(request, *args, **more)
            self.times = None if self.times is None else self.times - 1
            if self.to:
                self.led += 1
                request.url = self.to + path
        return self.hasty.send(request, *args, **more)

    def close(self) -> None:
        """As every adapter."""
        self.wire.close()
        self.hasty.close()

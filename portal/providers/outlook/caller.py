"""One Graph call: right host, right headers, at most four at a time for a mailbox, and errors of our family."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import requests

from portal.providers.base import Busy, Rejected, Unreachable
from portal.providers.outlook.graph_errors import graph_error
from portal.providers.outlook.http import Json, Line, parse_object, read_object, request_id, retry_after

PREFER = 'odata.maxpagesize=50, outlook.timezone="UTC", IdType="ImmutableId"'
"""On every call: page size, UTC times, ids that survive a move to another folder.

https://learn.microsoft.com/graph/outlook-immutable-id
"""

AT_ONCE = 4  # https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits


class Gate(threading.Semaphore):
    """How many calls one mailbox may have under way. A class of its own so that it can be held weakly."""


@dataclass
class Caller:
    """Sends signed calls to the configured Graph address and to no other."""

    line: Line
    graph_url: str
    patience: float
    _gates: WeakValueDictionary[bytes, Gate] = field(default_factory=WeakValueDictionary, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, access_token: str, address: str, name: str, *, changes: bool = False) -> Json:
        """GET and read an object. `address` is a path, or a link that Graph gave us, perhaps one to `changes`."""
        return read_object(self.call(access_token, "GET", address, name, changes=changes))

    def call(
        self,
        access_token: str,
        method: str,
        address: str,
        name: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        changes: bool = False,
    ) -> requests.Response:
        """Send one call and raise for every answer that is not a success."""
        url = self._url(address)

        def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {access_token}"
            return request

        gate = self._gate(access_token)
        if not gate.acquire(timeout=self.patience):
            raise Busy("Too many calls for this mailbox are waiting.")
        try:
            response = self.line.send(
                method, url, name, sign=sign, headers={"Prefer": PREFER, **(headers or {})}, body=body
            )
        finally:
            gate.release()
        if not 200 <= response.status_code < 300:
            raise graph_error(
                response.status_code,
                parse_object(response.content),
                challenge=response.headers.get("WWW-Authenticate", ""),
                retry_after=retry_after(response, self.line.now()),
                request_id=request_id(response),
                method=method,
                changes=changes,
            )
        return response

    def delete(self, access_token: str, address: str, name: str, headers: Mapping[str, str] | None = None) -> str:
        """DELETE; returns Graph's name for the call. 204 is the only proof that the thing was deleted.

        A 200 with something in it comes from somebody in between (a proxy's page), however successful it looks.
        """
        response = self.call(access_token, "DELETE", address, name, headers=headers)
        if response.status_code != 204:
            raise Unreachable(request_id=request_id(response))
        return request_id(response)

    def _gate(self, access_token: str) -> Gate:
        key = hashlib.sha256(access_token.encode()).digest()
        with self._lock:
            gate = self._gates.get(key)
            if gate is None:
                gate = self._gates[key] = Gate(AT_ONCE)
            return gate

    def _url(self, address: str) -> str:
        """The address to call. A link must point at the configured origin: a bearer token goes nowhere else."""
        if address.startswith("/"):
            return self.graph_url + address
        try:
            ours, theirs = urlsplit(self.graph_url), urlsplit(address)
            same = (ours.scheme, ours.hostname, ours.port) == (theirs.scheme, theirs.hostname, theirs.port)
        except ValueError:
            same = False
        if not same or "@" in theirs.netloc or any(char <= " " or char in '\\"<>' for char in address):
            raise Rejected("Microsoft named an address on another host; we do not follow it.")
        return address

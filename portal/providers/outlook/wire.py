"""The transport under every call: one cap on time, one on size, no redirects, one kind of failure.

`requests` limits the wait for each read, not the whole call, so a server that drips bytes could hold a thread for ever.
Here a timer cuts the connection when the call's time is up, in headers and body alike.
"""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

import urllib3
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from portal.providers.base import ProviderError, Unreachable

MAX_BYTES = 10 * 1024 * 1024
_FRAMING = {"content-encoding", "content-length", "transfer-encoding"}
_here = threading.local()


class _Watch:
    """Cuts the one connection it was shown when the time is up, and never a later user of it."""

    def __init__(self, seconds: float) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._late = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def show(self, sock: socket.socket) -> None:
        with self._lock:
            self._socket = sock
        if self._late:
            self._cut()

    def stop(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def _cut(self) -> None:
        with self._lock:
            self._late = True
            if isinstance(self._socket, socket.socket):
                with contextlib.suppress(OSError):  # closed already
                    # The plain method on purpose: SSLSocket.shutdown would first forget its TLS state under the reader.
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Watched:
    """A connection that shows its socket to the running call's watch before it waits for an answer."""

    sock: Any

    def getresponse(self) -> Any:
        watch: _Watch | None = getattr(_here, "watch", None)
        if watch is not None:
            watch.show(self.sock)
        return super().getresponse()  # type: ignore[misc]


class _WatchedHTTP(_Watched, HTTPConnection):
    pass


class _WatchedHTTPS(_Watched, HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _WatchedHTTP


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPS


_POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}


class Wire(HTTPAdapter):
    """An adapter whose `send` ends within `seconds`, with a whole answer of at most `max_bytes`, or with Unreachable.

    It keeps connections open between calls and may be shared by threads.
    """

    def __init__(self, seconds: float, max_bytes: int = MAX_BYTES) -> None:
        self.seconds = seconds
        self.max_bytes = max_bytes
        super().__init__(pool_maxsize=32)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool of connections, watched ones."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The same behind a proxy that the environment names."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request. What HTTPAdapter.send is told about time and streaming does not count here."""
        failure: ProviderError | None = None
        watch = _here.watch = _Watch(self.seconds)
        try:
            response = super().send(
                request, stream=True, timeout=self.seconds, verify=verify, cert=cert, proxies=dict(proxies or {})
            )
            response.raw = self._whole(response.raw)
        except (RequestException, HTTPError, HTTPException, OSError, ValueError):
            failure = Unreachable()  # raised below: the cause may quote a URL or a header, and must not travel along
        finally:
            watch.stop()
            _here.watch = None
        if failure is None and 300 <= response.status_code < 400:
            failure = Unreachable("Microsoft's address answered with a redirect, which we do not follow.")
        if failure is not None:
            raise failure
        response.headers = CaseInsensitiveDict(response.raw.headers)
        return response

    def _whole(self, raw: Any) -> urllib3.HTTPResponse:
        """The answer read to its end and unpacked; longer than allowed is a ValueError."""
        body = io.BytesIO()
        try:
            while chunk := raw.read1(65536, decode_content=True):
                if body.tell() + len(chunk) > self.max_bytes:
                    raise ValueError("too long")
                body.write(chunk)
        except BaseException:
            raw.close()
            raise
        raw.release_conn()
        body.seek(0)
        headers = {name: value for name, value in raw.headers.items() if name.lower() not in _FRAMING}
        return urllib3.HTTPResponse(
            body, headers=headers, status=raw.status, reason=raw.reason, preload_content=False, decode_content=False
        )

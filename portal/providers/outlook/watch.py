"""Connections that can be cut when a call's time is up, wherever in the answer it is stuck."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

_here = threading.local()


class Watch:
    """Cuts the one connection it was shown when the time is up, and never a later user of it."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._late = False
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def left(self) -> float:
        """Seconds until the time is up, and never quite none: a socket's timeout of 0 would mean something else."""
        return max(self._ends - time.monotonic(), 0.001)

    def show(self, sock: socket.socket) -> None:
        """Here is the connection that this call uses."""
        with self._lock:
            self._socket = sock
        if self._late:
            self._cut()

    def stop(self) -> None:
        """The call has ended; the connection may serve another one."""
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


@contextlib.contextmanager
def watching(seconds: float) -> Iterator[None]:
    """Cut what this thread is connected to when the block takes longer than `seconds`."""
    watch = _here.watch = Watch(seconds)
    try:
        yield
    finally:
        watch.stop()
        _here.watch = None


class _Watched:
    """A connection that keeps to the running call's time: while connecting, and while it waits for an answer.

    urllib3 would give every address of a host the whole time anew, and then the TLS handshake once more.
    """

    sock: Any
    host: str
    port: int

    def _new_conn(self) -> socket.socket:
        watch: Watch | None = getattr(_here, "watch", None)
        if watch is None:
            return super()._new_conn()  # type: ignore[misc, no-any-return]
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM):
            made = socket.socket(family, kind, protocol)
            made.settimeout(watch.left())
            try:
                made.connect(address)
            except OSError as error:
                made.close()
                failure = error
                continue
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.settimeout(watch.left())
            return made
        raise failure

    def getresponse(self) -> Any:
        watch: Watch | None = getattr(_here, "watch", None)
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


POOLS: dict[str, Any] = {"http": _HTTPPool, "https": _HTTPSPool}
"""What urllib3's pool managers take as `pool_classes_by_scheme`."""

"""Bad weather on the line: whatever a server does, a call ends in time, with one kind of error and no secret in it."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from portal.providers.base import Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.conftest import make_provider
from tests.providers.fake import Fake

CALENDARS = "GET /v1.0/me/calendars"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def write(handler: BaseHTTPRequestHandler, *parts: bytes, pause: float = 0) -> None:
    for part in parts:
        handler.wfile.write(part)
        handler.wfile.flush()
        time.sleep(pause)
    handler.close_connection = True


def drip_body(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD + b"Content-Length: 1000\r\n\r\n", *[b" "] * 100, pause=0.1)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD, *[b"X-Header: 1\r\n"] * 100, pause=0.1)


def drip_status(handler: BaseHTTPRequestHandler) -> None:
    write(handler, *[b"H"] * 100, pause=0.1)


def drip_chunks(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 100, pause=0.1)


def silence(handler: BaseHTTPRequestHandler) -> None:
    write(handler, b"", pause=3)


def endless(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD + b"Connection: close\r\n\r\n")
    while True:
        handler.wfile.write(b" " * 65536)


def bomb(handler: BaseHTTPRequestHandler) -> None:
    packed = gzip.compress(b" " * (30 * 1024 * 1024))
    write(handler, HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed), packed)


def half(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD + b'Content-Length: 100\r\n\r\n{"value": [')


def half_chunked(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"val')


def bad_gzip(handler: BaseHTTPRequestHandler) -> None:
    write(handler, HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd")


def dropped(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


def not_http(handler: BaseHTTPRequestHandler) -> None:
    write(handler, b"SSH-2.0-OpenSSH_9\r\n\r\n")


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    packed = gzip.compress(b'{"value": [{"id": "a", "name": "A"}]}')
    fake.on(CALENDARS, (200, packed, {"Content-Encoding": "gzip", "Content-Type": "application/json"}))
    assert provider.calendars("access-1")[0].name == "A"


@pytest.mark.parametrize("odd", [drip_body, drip_headers, drip_status, drip_chunks, silence])
def test_a_call_ends_when_its_time_is_up(fake: Fake, odd: Callable[[Any], None]) -> None:
    fake.on(CALENDARS, odd)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        make_provider(fake.url, timeout=0.6).calendars("access-1")
    assert 0.4 < time.monotonic() - started < 5


@pytest.mark.parametrize("odd", [endless, bomb])
def test_a_body_has_a_longest_length(provider: OutlookProvider, fake: Fake, odd: Callable[[Any], None]) -> None:
    fake.on(CALENDARS, odd)
    with pytest.raises(Unreachable):
        provider.calendars("access-1")


@pytest.mark.parametrize("odd", [half, half_chunked, bad_gzip, dropped, not_http])
def test_a_broken_answer_is_no_answer(provider: OutlookProvider, fake: Fake, odd: Callable[[Any], None]) -> None:
    fake.on(CALENDARS, odd)
    with pytest.raises(Unreachable) as caught:
        provider.calendars("access-1")
    assert len(caught.value.request_id) == 36  # ours, since Microsoft gave none


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b'"x"', b"null", b"\xff", b"<html>", b"[" * 100_000])
def test_what_is_not_an_object_is_no_answer(provider: OutlookProvider, fake: Fake, body: bytes) -> None:
    fake.on(CALENDARS, (200, body, {}))
    with pytest.raises(Unreachable):
        provider.calendars("access-1")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(provider: OutlookProvider, fake: Fake, status: int) -> None:
    fake.on(CALENDARS, (status, b"", {"Location": f"{fake.url}/elsewhere"}))
    with pytest.raises(Unreachable):
        provider.calendars("access-1")
    assert [call.path for call in fake.asked] == ["/v1.0/me/calendars"]


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unreachable):
            make_provider(url).calendars("access-1")


@contextmanager
def speaking(answer: bytes) -> Iterator[int]:
    """A server that says one thing to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_what_does_not_speak_tls() -> None:
    with speaking(b"HTTP/1.1 200 OK\r\n\r\n") as port, pytest.raises(Unreachable):
        make_provider(f"https://127.0.0.1:{port}").calendars("access-1")


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A name with four addresses, none of which ever answers."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", full.getsockname())
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [address] * 4)
        yield
        for each in waiting:
            each.close()


def test_all_addresses_of_a_host_share_the_time(deaf: None) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable):
        make_provider("http://graph.localhost:1", timeout=2).calendars("access-1")
    assert 1.9 < time.monotonic() - started < 6  # each by itself: 8


def test_a_late_call_does_not_cut_the_next_one(fake: Fake) -> None:
    fake.on(CALENDARS, {"value": []})
    provider = make_provider(fake.url, timeout=0.3)
    for _ in range(5):
        provider.calendars("access-1")
        time.sleep(0.1)

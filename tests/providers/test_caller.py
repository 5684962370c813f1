"""Where a bearer token may go, and how many calls a mailbox has at a time."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest

from portal.providers.base import Busy, Rejected
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.conftest import make_provider
from tests.providers.fake import Fake, send

CALENDARS = "GET /v1.0/me/calendars"


class Counter:
    """A slow list of calendars that notes how many ask at once."""

    def __init__(self, pause: float) -> None:
        self.pause, self.now, self.most = pause, 0, 0
        self.lock = threading.Lock()

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.pause)
        with self.lock:
            self.now -= 1
        send(handler, 200, {"value": []}, {})


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    """Four at a time for one mailbox, and one mailbox does not wait for another."""
    counter = Counter(0.1)
    fake.on(CALENDARS, counter)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: provider.calendars("adele"), range(10)))
        assert counter.most == 4
        list(pool.map(lambda number: provider.calendars(f"person-{number}"), range(8)))
        assert counter.most > 4


def test_who_waits_too_long_is_told_to_come_back(fake: Fake) -> None:
    fake.on(CALENDARS, Counter(0.8))
    provider = make_provider(fake.url, timeout=1)
    with ThreadPoolExecutor(9) as pool:
        asked = [pool.submit(provider.calendars, "adele") for _ in range(9)]
    assert Busy in {type(each.exception()) for each in asked}


def test_mailboxes_are_forgotten_when_nobody_calls(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(CALENDARS, {"value": []})
    provider.calendars("adele")
    assert len(provider._caller._gates) == 0


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/delta",
        "http://127.0.0.1/v1.0/delta",
        "https://{host}/v1.0/delta",
        "http://{host}@evil.example/v1.0/delta",
        "http://evil@{host}/v1.0/delta",
        "http://{host}.evil.example/v1.0/delta",
        "http://{host}\\@evil.example/v1.0/delta",
        "http://{host}/v1.0/de lta",
        "http://{host}/v1.0/delta\r\nX-Header: 1",
        "file:///etc/passwd",
        "",
        "http://[half",
    ],
)
def test_a_link_to_anywhere_else_is_refused(provider: OutlookProvider, fake: Fake, link: str) -> None:
    with pytest.raises(Rejected):
        provider.next_changes("access-1", link.format(host=fake.url.removeprefix("http://")))
    assert fake.asked == []


def test_a_next_page_elsewhere_is_refused(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(CALENDARS, {"value": [], "@odata.nextLink": "https://evil.example/v1.0/me/calendars?p=2"})
    with pytest.raises(Rejected):
        provider.calendars("access-1")


def test_a_netrc_file_does_not_sign_for_us(
    provider: OutlookProvider, fake: Fake, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w", encoding="utf-8") as file:
        file.write("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", netrc)
    fake.on(CALENDARS, {"value": []})
    provider.calendars("access-1")
    provider.can_revoke()
    assert fake.calls(CALENDARS)[0].headers["Authorization"] == "Bearer access-1"
    assert all("Basic" not in call.headers.get("Authorization", "") for call in fake.asked)

"""Live pages: throughput beside 1,000 open streams, and how long a message takes to the other side's screen.

`python -m tests.bench.live` runs the demo world on free ports and prints each figure with its bound. Ratios compare
with a baseline in the same run, so that they hold on any machine.
"""

from __future__ import annotations

import json
import random
import resource
import selectors
import socket
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import requests
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from portal.db import new_id
from tests.terminal import Demo, running

STREAMS, CONVERSATIONS = 1000, 200
SECONDS, READERS, PER_SECOND = 6.0, 8, 20


@dataclass
class Guest:
    """A signed-in session, made with the demo's own key instead of a password (that would measure argon2)."""

    cookie: str
    token: str
    conversation: str = ""
    asks: requests.Session = field(default_factory=requests.Session)


def guest(demo: Demo, member_id: str) -> Guest:
    """A session for a member."""
    key, raw = json.loads((demo.var / "demo-keys.json").read_text())["PORTAL_SECRET_KEY"], "0" * 40
    app = Flask("bench")
    app.secret_key = key
    sign = SecureCookieSessionInterface().get_signing_serializer(app)
    assert sign is not None
    session = {"_user_id": member_id, "sign_in": _signed_in(demo, member_id), "_fresh": True, "csrf_token": raw}
    made = Guest(sign.dumps(session), _token(key, raw))
    # As browsers do: once more when the server closed an idle connection just as it was used again.
    made.asks.mount("http://", HTTPAdapter(max_retries=Retry(1, allowed_methods=None)))
    made.asks.cookies.set("coordinoter_session", made.cookie, domain="127.0.0.1")
    return made


def _signed_in(demo: Demo, member_id: str) -> str:
    name, now = new_id(), datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with closing(sqlite3.connect(demo.var / "portal.sqlite3", timeout=30)) as connection:
        connection.execute("INSERT INTO sign_ins (id, member_id, started_at) VALUES (?, ?, ?)", (name, member_id, now))
        connection.commit()
    return name


def _token(key: str, raw: str) -> str:
    return str(URLSafeTimedSerializer(key, salt="wtf-csrf-token").dumps(raw))


def members(demo: Demo, number: int) -> list[str]:
    """So many customers, written straight into the demo's database."""
    ids = [new_id() for _ in range(number)]
    with closing(sqlite3.connect(demo.var / "portal.sqlite3", timeout=30)) as connection:
        (business,) = connection.execute("SELECT business_id FROM members WHERE email LIKE 'alice%'").fetchone()
        columns = "(id, business_id, email, name, role, password_hash)"
        rows = [(each, business, f"{each}@bench.example", f"Guest {each[:4]}", "member", "-") for each in ids]
        connection.executemany(f"INSERT INTO members {columns} VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.commit()
    return ids


def member(demo: Demo, name: str) -> str:
    """The id of one of the cast."""
    with closing(sqlite3.connect(demo.var / "portal.sqlite3", timeout=30)) as connection:
        found: str = connection.execute("SELECT id FROM members WHERE email LIKE ?", (f"{name}@%",)).fetchone()[0]
        return found


class Streams:
    """Many open streams, read by one thread; `heard` keeps when each event first came to each reader."""

    def __init__(self) -> None:
        self.selector, self.open, self.going = selectors.DefaultSelector(), 0, True
        self.heard: dict[tuple[str, str], list[float]] = {}
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def add(self, demo: Demo, who: str, cookie: str) -> None:
        line = socket.create_connection(("127.0.0.1", demo.port), timeout=30)
        ask = f"GET /live HTTP/1.1\r\nHost: 127.0.0.1:{demo.port}\r\nCookie: coordinoter_session={cookie}\r\n\r\n"
        line.sendall(ask.encode())
        head = line.recv(4096)
        assert b" 200 " in head.split(b"\r\n", 1)[0], head[:80]
        line.setblocking(False)
        self.selector.register(line, selectors.EVENT_READ, who)
        self.open += 1

    def _read(self) -> None:
        while self.going:
            if not self.selector.get_map():
                time.sleep(0.01)
                continue
            for key, _ in self.selector.select(timeout=0.1):
                now, line = time.monotonic(), key.fileobj
                assert isinstance(line, socket.socket)
                told = line.recv(65536).decode(errors="replace")
                if not told:
                    self.selector.unregister(line)
                    self.open -= 1
                for row in told.splitlines():
                    if row.startswith("event: "):
                        self.heard.setdefault((key.data, row[7:]), []).append(now)

    def close(self) -> None:
        self.going = False
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]


@contextmanager
def streams() -> Iterator[Streams]:
    opened = Streams()
    yield opened
    opened.close()


def throughput(demo: Demo, who: Guest) -> float:
    """Pages of Manage Integrations per second, by several readers."""
    until = time.monotonic() + SECONDS

    def read(_: int) -> int:
        done = 0
        with requests.Session() as session:
            session.cookies.set("coordinoter_session", who.cookie, domain="127.0.0.1")
            while time.monotonic() < until:
                assert session.get(f"{demo.url}/integrations", timeout=30).status_code == 200
                done += 1
        return done

    with ThreadPoolExecutor(READERS) as pool:
        return sum(pool.map(read, range(READERS))) / SECONDS


def beside_streams(demo: Demo) -> float:
    """Throughput with all streams open, as a share of the throughput without."""
    alice = guest(demo, member(demo, "alice"))
    throughput(demo, alice)  # warm
    alone = throughput(demo, alice)
    with streams() as opened:
        guests = [guest(demo, each) for each in members(demo, 40)]
        for at in range(STREAMS - 5):
            opened.add(demo, "idle", guests[at % len(guests)].cookie)
        beside = throughput(demo, alice)
        assert opened.open >= STREAMS - 5, opened.open
    print(f"  GET /integrations: {alone:.0f}/s alone, {beside:.0f}/s beside {STREAMS - 5} streams")
    return beside / alone


def to_the_other_screen(demo: Demo) -> float:
    """p99 of the time from the press on Send until support's page has fetched the message, with all guests live."""
    sam = guest(demo, member(demo, "sam"))
    guests = [guest(demo, each) for each in members(demo, CONVERSATIONS)]
    times: list[float] = []
    with streams() as opened:
        opened.add(demo, "sam", sam.cookie)
        for one in guests:
            opened.add(demo, "guest", one.cookie)
            one.conversation = post(demo, one, "", "Hello").headers["Location"].rsplit("/", 1)[1].split("#")[0]
        time.sleep(1)

        def exchange(one: Guest) -> None:
            what, text = f"live-conversation-{one.conversation}", new_id()
            heard = len(opened.heard.get(("sam", what), ()))
            began = time.monotonic()
            post(demo, one, one.conversation, text)
            while len(opened.heard.get(("sam", what), ())) <= heard:
                assert time.monotonic() < began + 20, "never heard of"
                time.sleep(0.002)
            page = requests.get(
                f"{demo.url}/support/conversations/{one.conversation}/entries",
                headers={"HX-Request": "true", "HX-Request-Type": "partial"},
                cookies={"coordinoter_session": sam.cookie},
                timeout=30,
            )
            assert text in page.text
            times.append(time.monotonic() - began)

        with ThreadPoolExecutor(32) as pool:
            under_way = []
            for one in random.sample(guests, CONVERSATIONS):
                under_way.append(pool.submit(exchange, one))
                time.sleep(1 / PER_SECOND)
            for each in under_way:
                each.result()
    ordered = sorted(times)
    print(f"  message to screen: median {statistics.median(ordered):.3f} s, p99 {ordered[-2]:.3f} s")
    return ordered[-2]


def post(demo: Demo, one: Guest, at: str, text: str) -> requests.Response:
    """Send a message as a browser without JavaScript does."""
    fields = {"csrf_token": one.token, "conversation": at, "text": text, "sent_as": new_id(), "page": "/integrations"}
    answer = one.asks.post(f"{demo.url}/chat/messages", data=fields, allow_redirects=False, timeout=30)
    assert answer.status_code == 303, answer.text[:300]
    return answer


def main() -> int:
    """Measure both; 1 when a bound is not kept."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard > 0 else 4096, hard))
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "var") as demo:
        share, slowest = beside_streams(demo), to_the_other_screen(demo)
    print(f"live: throughput beside {STREAMS} streams {share:.2f} x (at least 0.70)")
    print(f"live: message to the other side's screen, p99 {slowest:.3f} s (under 1.000), {CONVERSATIONS} conversations")
    return 0 if share >= 0.7 and slowest < 1 else 1


if __name__ == "__main__":
    sys.exit(main())

"""Several web processes: what one is told, a page of another shows; on both databases, and through a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest
import requests
from sqlalchemy import create_engine, text

from tests.surfer import Surfer
from tests.terminal import Demo, environment, free_port, running, until

ALICE, SAM = "alice@northwind.example", "sam@coordinoter.example"


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def demo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Demo]:
    """The demo world on each database."""
    more: dict[str, str] = {}
    if request.param == "postgresql":
        main, keys = request.getfixturevalue("postgres_urls")
        more = {"PORTAL_DATABASE_URL": main, "PORTAL_KEYS_URL": keys}
    with running(tmp_path / "var", **more) as demo:
        demo.more = more  # type: ignore[attr-defined]
        yield demo


@pytest.fixture
def second(demo: Demo) -> Iterator[str]:
    """Another web process on the same databases, as on another machine; it runs no engine."""
    master = psutil.Process(demo.process.pid).children()
    settings = next(child.environ() for child in master if "gunicorn" in child.cmdline())
    port = free_port()
    kept = {name: value for name, value in settings.items() if name.startswith(("PORTAL_", "MICROSOFT_", "SANDBOX_"))}
    command = [sys.executable, "-m", "gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{port}", "--threads", "50"]
    process = subprocess.Popen(
        [*command, "--worker-class", "gthread", "--no-control-socket"],
        env=environment(**{**kept, "PORTAL_ENGINE": "none"}),
        cwd=Path(__file__).parents[2],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    url = f"http://127.0.0.1:{port}"
    until(lambda: _answers(url), "the second process to answer")
    yield url
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=5).ok
    except requests.RequestException:
        return False


class Listener(threading.Thread):
    """One stream, read until it is cut; `events` are names with the moment they came."""

    def __init__(self, surfer: Surfer) -> None:
        super().__init__(daemon=True)
        self.answer = surfer.session.get(f"{surfer.url}/live", stream=True, timeout=60)
        assert self.answer.status_code == 200
        self.events: list[tuple[str, float]] = []
        self.start()

    def run(self) -> None:
        try:
            for line in self.answer.iter_lines(chunk_size=1):
                if line.startswith(b"event: "):
                    self.events.append((line[7:].decode(), time.monotonic()))
        except requests.RequestException:
            pass

    def heard(self, what: str, after: float) -> float:
        """How long after a moment an event came."""
        found = until(lambda: [at for name, at in self.events if name.startswith(what) and at >= after], what)
        return float(found[0]) - after


def post(surfer: Surfer, path: str, **fields: str) -> int:
    """A bare POST with the CSRF token of the page at hand; its status."""
    field = surfer.soup.find("input", {"name": "csrf_token"})
    assert field is not None
    data = {"csrf_token": str(field["value"]), **fields}  # type: ignore[index]
    return surfer.session.post(f"{surfer.url}{path}", data=data, timeout=20, allow_redirects=False).status_code


def test_a_message_reaches_a_page_of_another_process_within_a_second(demo: Demo, second: str) -> None:
    alice, sam = Surfer(demo.url), Surfer(second)
    alice.sign_in(ALICE)
    sam.sign_in(SAM)
    there, here = Listener(sam), Listener(alice)
    there.heard("live-all", 0)
    alice.get("/chat")
    began = time.monotonic()
    alice.press("Send", text="From one process")
    assert there.heard("live-desk", began) < 5
    sam.get("/support")
    link = sam.soup.select_one("#queue a.help-link")
    assert link is not None
    sam.get(str(link["href"]))
    began = time.monotonic()
    sam.press("Send the answer", text="to the other", kind="message")
    assert here.heard("live-chat", began) < 5
    assert "to the other" in alice.get("/chat").get_text()


def test_limits_of_visitors_and_of_sign_ins_count_across_processes(demo: Demo, second: str) -> None:
    def ask(url: str) -> int:
        visitor = Surfer(url)
        visitor.get("/help?page=/sign-in")
        fields = {"text": "I cannot sign in.", "reply_to": "me@example.com", "page": "/sign-in"}
        return post(visitor, "/chat/messages", **fields)

    def guess(url: str) -> int:
        visitor = Surfer(url)
        visitor.get("/sign-in")
        return post(visitor, "/sign-in", email=ALICE, password="wrong")

    for act, stored in ((ask, 303), (guess, 422)):
        assert [act(url) for url in (demo.url, second, demo.url, second, demo.url)] == [stored] * 5
        assert (act(second), act(demo.url)) == (429, 429), "the sixth, whichever process is asked"


def test_support_sees_at_one_process_who_is_here_at_another(demo: Demo, second: str) -> None:
    alice, sam = Surfer(demo.url), Surfer(second)
    alice.sign_in(ALICE)
    sam.sign_in(SAM)
    alice.get("/chat")
    alice.press("Send", text="Hello")
    sam.get("/support")
    link = sam.soup.select_one("#queue a.help-link")
    assert link is not None
    desk, began = Listener(sam), time.monotonic()
    browser = HTTPConnection(alice.url.removeprefix("http://"), timeout=60)  # one whose socket can really be closed
    cookies = "; ".join(f"{each.name}={each.value}" for each in alice.session.cookies)
    browser.request("GET", "/live", headers={"Cookie": cookies})
    page = browser.getresponse()
    assert page.read(1)
    post(alice, "/chat/here", page="/integrations/outlook-calendar")
    desk.heard("live-person-", began)
    assert "Alice is here, on the Outlook Calendar card." in sam.get(str(link["href"])).get_text()
    began = time.monotonic()
    page.close()
    browser.close()
    until(lambda: "Alice left a moment ago." in sam.get(str(link["href"])).get_text(), "the end is noticed", 60)
    desk.heard("live-person-", began)


def test_a_kill_in_the_middle_of_sending_loses_and_doubles_nothing(demo: Demo) -> None:
    alice = Surfer(demo.url)
    alice.sign_in(ALICE)
    alice.get("/chat")
    alice.press("Send", text="first", sent_as="first")
    at, token = alice.path.rsplit("/", 1)[1], str(alice.soup.find("input", {"name": "csrf_token"})["value"])  # type: ignore[index]

    def send(number: int) -> bool:
        """As a browser does: again, under the same name, until it is known to be stored."""
        fields = {"csrf_token": token, "conversation": at, "text": f"n{number}", "sent_as": f"name-{number}"}
        try:
            answer = alice.session.post(f"{demo.url}/chat/messages", data=fields, timeout=10, allow_redirects=False)
            return answer.status_code == 303
        except requests.RequestException:
            return False

    killer = threading.Timer(0.15, lambda: demo.worker().kill())
    killer.start()
    for number in range(12):
        until(lambda number=number: send(number), f"message {number}")  # type: ignore[misc]
    killer.join()
    url = demo.more.get("PORTAL_DATABASE_URL", f"sqlite:///{demo.var}/portal.sqlite3")  # type: ignore[attr-defined]
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with closing(engine.connect()) as connection:
        rows = connection.execute(text("SELECT text, number FROM entries ORDER BY number")).all()
    engine.dispose()
    assert [row.text for row in rows] == ["first", *(f"n{number}" for number in range(12))]
    assert [row.number for row in rows] == list(range(1, 14))


def test_an_ended_server_cuts_its_streams_at_once(demo: Demo) -> None:
    alice = Surfer(demo.url)
    alice.sign_in(ALICE)
    listener = Listener(alice)
    listener.heard("live-all", 0)
    began = time.monotonic()
    demo.worker().terminate()
    listener.join(15)
    assert not listener.is_alive()
    assert time.monotonic() - began < 10  # a stream is quiet for 15 seconds

"""A running sandbox, and a person with a browser who signs in to it by pressing the buttons that pages show."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from bs4 import BeautifulSoup, Tag

from portal.sandbox import Config, run_in_thread
from portal.sandbox.server import Server
from tests.pages import read

CALLBACK = "http://127.0.0.1:8000/integrations/outlook-calendar/callback"
SCOPE = "openid profile email offline_access User.Read Calendars.ReadWrite"


@pytest.fixture
def server() -> Iterator[Server]:
    with run_in_thread(Config(port=0)) as running:
        yield running


@dataclass
class Desk:
    """The desk's JSON interface."""

    url: str

    def __call__(self, method: str, path: str, /, **body: Any) -> Any:
        told = requests.request(method, f"{self.url}/desk/api/{path}", json=body if body else None, timeout=30)
        assert told.status_code < 300, told.text
        return told.json()

    def account(self, address: str) -> Any:
        return self("GET", f"accounts/{address}")


@pytest.fixture
def desk(server: Server) -> Desk:
    return Desk(server.url)


@dataclass
class Page:
    """An HTML answer: press its buttons."""

    browser: Browser
    answer: requests.Response

    @property
    def soup(self) -> BeautifulSoup:
        return read(self.answer.text)

    @property
    def text(self) -> str:
        return " ".join(self.soup.get_text(" ").split())

    @property
    def buttons(self) -> list[str]:
        return [" ".join(button.get_text(" ").split()) for button in self.soup.find_all("button")]

    def press(self, name: str, **filled: str) -> Page:
        """Press the button of this name; `filled` overrides what its form holds."""
        button = next(b for b in self.soup.find_all("button") if " ".join(b.get_text(" ").split()) == name)
        form = button.find_parent("form")
        assert isinstance(form, Tag)
        data = {
            str(each["name"]): str(each.get("value", ""))
            for each in form.find_all("input")
            if each.get("name") and each.get("type") != "checkbox"
        }
        if button.get("name"):
            data[str(button["name"])] = str(button.get("value", ""))
        return self.browser.send(str(form["method"]), str(form["action"]), {**data, **filled})

    @property
    def returned(self) -> dict[str, str]:
        """What the redirect to the application carries, in its query or fragment."""
        assert self.answer.status_code == 302, self.text
        parts = urlsplit(self.answer.headers["Location"])
        return dict(parse_qsl(parts.query or parts.fragment, keep_blank_values=True))


@dataclass
class Browser:
    """Follows the sandbox's own pages and stops where it would leave for the application."""

    url: str
    config: Config
    session: requests.Session = field(default_factory=requests.Session)

    def send(self, method: str, path: str, data: dict[str, str] | None = None) -> Page:
        target = path if path.startswith("http") else f"{self.url}{path}"
        told = self.session.request(method, target, data=data, allow_redirects=False, timeout=30)
        return Page(self, told)

    def authorize(self, tenant: str = "common", **more: str) -> Page:
        """Open the authorization page as an application would have it opened."""
        params = {
            "client_id": self.config.client_id,
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "state": "a state",
            "nonce": "a nonce",
            **more,
        }
        return self.send("get", f"/{tenant}/oauth2/v2.0/authorize?{urlencode(params)}")

    def token(self, tenant: str = "common", **form: str) -> requests.Response:
        """Ask the token endpoint, proving the client by its secret in the body; `drop` names fields to leave out."""
        data = {"client_id": self.config.client_id, "client_secret": self.config.client_secret, **form}
        return requests.post(f"{self.url}/{tenant}/oauth2/v2.0/token", data=data, timeout=30)

    def redeem(self, code: str, tenant: str = "common", **more: str) -> requests.Response:
        return self.token(tenant, grant_type="authorization_code", code=code, redirect_uri=CALLBACK, **more)

    def refresh(self, token: str, tenant: str = "common", **more: str) -> requests.Response:
        return self.token(tenant, grant_type="refresh_token", refresh_token=token, **more)

    def connect(self, address: str, tenant: str = "common", **more: str) -> dict[str, Any]:
        """The whole way: sign in, accept if asked, redeem. The token answer."""
        page = self.authorize(tenant, **more)
        if address in page.buttons:
            page = page.press(address)
        if "Accept" in page.buttons:
            page = page.press("Accept")
        told = self.redeem(page.returned["code"])
        assert told.status_code == 200, told.text
        answer: dict[str, Any] = told.json()
        return answer


@pytest.fixture
def browser(server: Server) -> Browser:
    return Browser(server.url, server.config)


@dataclass
class Graph:
    """Graph with one bearer token."""

    url: str
    token: str

    def __call__(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        target = path if path.startswith("http") else f"{self.url}/v1.0/{path}"
        return requests.request(method, target, headers=headers, timeout=30, **more)

    def get(self, path: str, **more: Any) -> Any:
        told = self("GET", path, **more)
        assert told.status_code == 200, told.text
        return told.json()


@pytest.fixture
def graph(browser: Browser) -> Graph:
    """Adele's token at work."""
    return Graph(browser.url, browser.connect("adele@contoso.example")["access_token"])


def pkce() -> tuple[str, str]:
    """A code verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(48)
    return verifier, base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    piece = token.split(".")[1]
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    return read


def eventually(look: Callable[[], bool], seconds: float = 15) -> None:
    """Wait for something that another thread is about to do; fail if it does not."""
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


class Listener:
    """A webhook: answers the handshake, keeps what it is sent, and can be told to misbehave."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.handshakes: list[str] = []
        self.statuses: list[int] = []  # answers to come, before 202 again
        self.echo = True
        self.pause = 0.0  # seconds before a handshake is answered
        self.hold = threading.Event()  # notifications are answered once it is set
        self.hold.set()
        self.arrived = threading.Condition()

        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.take(self)

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                return

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/hook"

    def take(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        query = dict(parse_qsl(urlsplit(handler.path).query))
        if "validationToken" in query:
            self.handshakes.append(query["validationToken"])
            time.sleep(self.pause)
            answer = (query["validationToken"] if self.echo else "something else").encode()
            handler.send_response(200)
            handler.send_header("Content-Type", "text/plain")
            handler.send_header("Content-Length", str(len(answer)))
            handler.end_headers()
            handler.wfile.write(answer)
            return
        with self.arrived:
            status = self.statuses.pop(0) if self.statuses else 202
            if handler.headers.get_content_type() == "application/json":
                self.received += json.loads(body)["value"]
            self.arrived.notify_all()
        self.hold.wait(30)
        with contextlib.suppress(OSError):  # the sender may have given up
            self.answer(handler, status)

    def answer(self, handler: BaseHTTPRequestHandler, status: int) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    def wait_for(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        """Everything received, as soon as it is at least `count` notifications."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.received) >= count, seconds), self.received
            return list(self.received)


@pytest.fixture
def listener() -> Iterator[Listener]:
    held = Listener()
    yield held
    held.hold.set()
    held.http.shutdown()
    held.http.server_close()

"""Verbs for tests: sign in, press a button, pick a person at Microsoft, let the engine work."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from portal.db import db
from portal.models import Connection, Disconnection
from portal.models.connection import CONNECTED
from portal.workflows import carry_out, sync
from tests.pages import read

CLIENT_ID = "00000000-c00d-4000-8000-0000000000aa"
CLIENT_SECRET = "test-client-secret-0123456789abcdef"
PASSWORD = "integrations-demo"
HTMX = {"HX-Request": "true", "HX-Request-Type": "partial"}
CARD = "/integrations/outlook-calendar"


class _Apart:
    """The test client, in a context of its own: a request must not see the application context of the test."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def get(self, *args: Any, **more: Any) -> TestResponse:
        return self._apart(self._client.get, *args, **more)

    def post(self, *args: Any, **more: Any) -> TestResponse:
        return self._apart(self._client.post, *args, **more)

    def open(self, *args: Any, **more: Any) -> TestResponse:
        return self._apart(self._client.open, *args, **more)

    @staticmethod
    def _apart(ask: Callable[..., TestResponse], *args: Any, **more: Any) -> TestResponse:
        db.session.rollback()  # what the test looked up must not hold SQLite's write lock while the portal acts
        return Context().run(ask, *args, **more)


class Visitor:
    """A person with a browser: Flask's test client, and a cookie jar for Microsoft's pages."""

    def __init__(self, app: Flask) -> None:
        self.client = _Apart(app.test_client())
        self.at_microsoft = requests.Session()
        self.page: TestResponse | None = None
        self._read: tuple[TestResponse, BeautifulSoup] | None = None

    def get(self, path: str, *, status: int = 200, htmx: bool = False) -> BeautifulSoup:
        """Open an address and expect a status."""
        self.page = self.client.get(path, headers=HTMX if htmx else {})
        assert self.page.status_code == status, f"{path}: {self.page.status}"
        return self.soup

    @property
    def soup(self) -> BeautifulSoup:
        """The page at hand."""
        assert self.page is not None
        if self._read is None or self._read[0] is not self.page:
            self._read = self.page, read(self.page.text)
        return self._read[1]

    def press(self, button: str, *, htmx: bool = False, follow: bool = True, **fields: str) -> BeautifulSoup:
        """Submit the form of the page at hand whose button reads so, as a browser without JavaScript would."""
        form = self.form(button)
        method, action, data = str(form.get("method", "get")).lower(), str(form.get("action") or ""), _fields(form)
        data.update(fields)
        headers = HTMX if htmx else {}
        here = self.page.request.path if self.page is not None else "/"
        address = urljoin(here, action)
        if method == "get":
            self.page = self.client.get(address, query_string=data, headers=headers)
        else:
            self.page = self.client.post(address, data=data, headers=headers)
        while follow and self.page.status_code in (302, 303) and not urlsplit(self.page.location).netloc:
            self.page = self.client.get(self.page.location)
        return self.soup

    def form(self, button: str) -> Tag:
        """The form that holds the button with this name."""
        for candidate in self.soup.find_all("button"):
            if button in (candidate.get_text(" ", strip=True), candidate.get("aria-label")):
                form = candidate.find_parent("form")
                if form is not None:
                    return form
        raise AssertionError(f"no button {button!r} in:\n{self.soup.get_text(' ', strip=True)[:2000]}")

    def csrf(self) -> str:
        """A valid CSRF token of this session, for posts that no form on the page makes."""
        field = self.soup.find("input", {"name": "csrf_token"}) or self._csrf_elsewhere()
        assert isinstance(field, Tag)
        return str(field["value"])

    def _csrf_elsewhere(self) -> Any:
        page = self.client.get("/help/disconnect-outlook-calendar").text  # whose forms everybody may use
        return read(page).find("input", {"name": "csrf_token"})

    def post(self, path: str, *, htmx: bool = False, **fields: str) -> TestResponse:
        """A bare POST with a valid CSRF token."""
        data = {"csrf_token": self.csrf(), **fields}
        self.page = self.client.post(path, data=data, headers=HTMX if htmx else {})
        return self.page

    def press_hidden(self, action: str) -> None:
        """Send the form of the page at hand that htmx sends by itself when the page is opened."""
        form = self.soup.find("form", {"hx-post": action, "hx-trigger": True})
        assert isinstance(form, Tag), f"no form sends itself to {action}"
        answer = self.client.post(action, data=_fields(form), headers=HTMX)
        assert answer.status_code == 204, answer.status

    def connect(self, account: str, *, answer: str = "Accept", button: str = "Connect to Microsoft") -> BeautifulSoup:
        """Press Connect, pick a person at Microsoft, answer the consent, come back."""
        self.get(CARD)
        self.press(button, follow=False)
        return self.come_back(account, answer=answer)

    def come_back(self, account: str, *, answer: str = "Accept") -> BeautifulSoup:
        """From the redirect to Microsoft to the page after the callback."""
        assert self.page is not None
        assert self.page.status_code == 303, self.page.text[:500]
        back = self.through_microsoft(self.page.location, account, answer=answer)
        parts = urlsplit(back)
        self.page = self.client.get(f"{parts.path}?{parts.query}")
        while self.page.status_code in (302, 303):
            self.page = self.client.get(self.page.location)
        return self.soup

    def through_microsoft(self, address: str, account: str, *, answer: str = "Accept") -> str:
        """Walk Microsoft's pages; returns the address it sends the browser back to."""
        page = self.at_microsoft.get(address, allow_redirects=False, timeout=20)
        for _ in range(8):
            if page.is_redirect:
                target = urljoin(page.url, page.headers["Location"])
                if urlsplit(target).path.endswith("/callback"):
                    return target
                page = self.at_microsoft.get(target, allow_redirects=False, timeout=20)
                continue
            page = self._answer(page, account, answer)
        raise AssertionError(f"never came back; the last page was {page.url}:\n{page.text[:1500]}")

    def _answer(self, page: requests.Response, account: str, answer: str) -> requests.Response:
        soup = read(page.text)
        for wanted in (answer, account):
            for button in soup.find_all("button"):
                if wanted not in button.get_text(" ", strip=True):
                    continue
                form = button.find_parent("form")
                assert form is not None
                data = _fields(form)
                if button.get("name"):
                    data[str(button["name"])] = str(button.get("value", ""))
                action = urljoin(page.url, str(form.get("action") or ""))
                if str(form.get("method", "get")).lower() == "get":
                    return self.at_microsoft.get(action, params=data, allow_redirects=False, timeout=20)
                return self.at_microsoft.post(action, data=data, allow_redirects=False, timeout=20)
        raise AssertionError(f"Microsoft offers neither {answer!r} nor {account!r}:\n{soup.get_text(' ', strip=True)}")


def _fields(form: Tag) -> dict[str, str]:
    fields = {
        str(field["name"]): str(field.get("value", ""))
        for field in form.find_all("input")
        if field.get("name") and field.get("type") not in ("submit", "checkbox", "radio")
    }
    for choice in form.find_all("select"):
        chosen = choice.find("option", selected=True) or choice.find("option")
        if choice.get("name") and chosen is not None:
            fields[str(choice["name"])] = str(chosen.get("value", ""))
    return fields


@dataclass
class Microsoft:
    """The sandbox and its desk, over HTTP."""

    url: str

    def desk(self, method: str, where: str, /, **body: Any) -> Any:
        """One order to the desk's interface; its answer."""
        answer = requests.request(method, f"{self.url}/desk/api/{where}", json=body or None, timeout=20)
        assert answer.ok, f"{where}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def reset(self) -> None:
        """As on the first day."""
        self.desk("POST", "reset")

    def holds(self, account: str) -> Any:
        """What Microsoft still holds of an account."""
        return self.desk("GET", f"accounts/{account}")

    def breaks(self, kind: str, endpoint: str, **more: Any) -> None:
        """Bad weather at one endpoint; `times=None` for ever."""
        self.desk("POST", "faults", kind=kind, endpoint=endpoint, **more)

    def mend(self) -> None:
        """Fair weather again."""
        self.desk("DELETE", "faults")

    def calls(self) -> list[dict[str, Any]]:
        """The last calls Microsoft saw."""
        answer = self.desk("GET", "calls")
        found: list[dict[str, Any]] = answer["calls"] if isinstance(answer, dict) else answer
        return found


@dataclass
class World:
    """One portal and one sandbox. The engine does not run by itself in here; `work` does what it would do."""

    app: Flask
    microsoft: Microsoft

    def visitor(self) -> Visitor:
        """Somebody with a fresh browser."""
        return Visitor(self.app)

    def sign_in(self, email: str) -> Visitor:
        """One of the cast, signed in through the form."""
        visitor = self.visitor()
        visitor.get("/sign-in")
        visitor.press("Sign in", email=email, password=PASSWORD)
        assert visitor.page is not None
        assert visitor.page.status_code == 200, visitor.page.status
        assert visitor.page.request.path != "/sign-in", visitor.soup.get_text(" ", strip=True)
        return visitor

    def connected(self, email: str = "alice@northwind.example", account: str = "adele@contoso.example") -> Visitor:
        """One of the cast, connected and synced."""
        visitor = self.sign_in(email)
        visitor.connect(account)
        self.work()
        visitor.get(CARD)
        return visitor

    def work(self) -> None:
        """Do the durable work that waits: syncs first, then disconnections."""
        db.session.rollback()
        for connection_id in db.session.scalars(
            select(Connection.id).where(Connection.state == CONNECTED, Connection.sync_wanted_at.is_not(None))
        ).all():
            db.session.rollback()
            sync.sync(connection_id)
        db.session.rollback()
        for row_id in db.session.scalars(select(Disconnection.id).where(Disconnection.finished_at.is_(None))).all():
            db.session.rollback()
            carry_out.run(row_id)
        db.session.rollback()

    def connection(self) -> Connection:
        """The only connection there is."""
        db.session.rollback()
        return db.session.scalars(select(Connection).where(Connection.state != "connecting")).one()

    def disconnection(self) -> Disconnection:
        """The only disconnection there is."""
        db.session.rollback()
        return db.session.scalars(select(Disconnection)).one()

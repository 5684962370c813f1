"""A browser without JavaScript over real HTTP: opens addresses, and presses buttons of whatever page it is on."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from bs4 import BeautifulSoup, Tag

from tests.pages import read
from tests.world import PASSWORD

TIMEOUT = 30


class Surfer:
    """One person's browser; it walks on the portal and on the sandbox alike."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.page = requests.Response()

    def get(self, path: str) -> BeautifulSoup:
        """Open an address of the portal, or any absolute one."""
        self.page = self.session.get(urljoin(self.url, path), timeout=TIMEOUT)
        return self.soup

    @property
    def soup(self) -> BeautifulSoup:
        return read(self.page.text)

    @property
    def words(self) -> str:
        """The text of the page at hand."""
        return re.sub(r"\s+", " ", self.soup.get_text(" ", strip=True))

    @property
    def heading(self) -> str:
        """The heading of the page at hand."""
        found = self.soup.h1
        return found.get_text(strip=True) if found else ""

    @property
    def path(self) -> str:
        return urlsplit(self.page.url).path

    def press(self, name: str, **fields: str) -> BeautifulSoup:
        """Submit the form of the button with this name."""
        button = self._button(name)
        form = button.find_parent("form")
        assert form is not None
        data: dict[str, Any] = {
            str(field["name"]): str(field.get("value", ""))
            for field in form.find_all("input")
            if field.get("name") and field.get("type") not in ("submit", "checkbox", "radio")
        }
        data.update(fields)
        if button.get("name"):
            data[str(button["name"])] = str(button.get("value", ""))
        address = urljoin(self.page.url, str(form.get("action") or ""))
        if str(form.get("method", "get")).lower() == "get":
            self.page = self.session.get(address, params=data, timeout=TIMEOUT)
        else:
            self.page = self.session.post(address, data=data, timeout=TIMEOUT)
        return self.soup

    def _button(self, name: str) -> Tag:
        for button in self.soup.find_all("button"):
            if name in (button.get_text(" ", strip=True), button.get("aria-label")):
                return button
        raise AssertionError(f"no button {name!r} at {self.page.url}:\n{self.words[:1500]}")

    def sign_in(self, email: str) -> BeautifulSoup:
        self.get("/sign-in")
        self.press("Sign in", email=email, password=PASSWORD)
        assert self.page.status_code == 200
        assert self.path != "/sign-in", self.words[:500]
        return self.soup

    def connect(self, account: str) -> BeautifulSoup:
        """From the card to Microsoft and back."""
        self.get("/integrations/outlook-calendar")
        self.press("Connect to Microsoft")
        self.press(account)
        self.press("Accept")
        assert "Outlook Calendar is connected" in self.words, self.words[:500]
        return self.soup

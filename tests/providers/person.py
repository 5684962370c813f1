"""A person at the sandbox Microsoft: signs in by pressing the buttons that its pages show; and the sandbox's desk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests
from bs4 import Tag

from portal.providers.base import Changes, Grant
from portal.providers.outlook.outlook import OutlookProvider
from tests.pages import read
from tests.providers.genuine import REDIRECT


def sign_in(url: str, address: str, *, accept: str = "Accept") -> dict[str, str]:
    """Open the authorization URL, pick `address`, press `accept` if asked; what the application is sent back."""
    browser = requests.Session()
    answer = browser.get(url, allow_redirects=False, timeout=10)
    for button in (address, accept):
        if answer.status_code == 302:
            break
        answer = _press(browser, answer, button)
    assert answer.status_code == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query, keep_blank_values=True))


def _press(browser: requests.Session, page: requests.Response, name: str) -> requests.Response:
    soup = read(page.text)
    button = next(each for each in soup.find_all("button") if " ".join(each.get_text(" ").split()) == name)
    form = button.find_parent("form")
    assert isinstance(form, Tag)
    data = {str(each["name"]): str(each.get("value", "")) for each in form.find_all("input") if each.get("name")}
    if button.get("name"):
        data[str(button["name"])] = str(button.get("value", ""))
    return browser.post(urljoin(page.url, str(form["action"])), data=data, allow_redirects=False, timeout=10)


def connect(provider: OutlookProvider, address: str = "adele@contoso.example") -> Grant:
    """The whole way from our button to a grant."""
    started = provider.begin_sign_in(REDIRECT, choose_account=True)
    return provider.finish_sign_in(
        REDIRECT,
        sign_in(started.url, address),
        state=started.state,
        nonce=started.nonce,
        code_verifier=started.code_verifier,
    )


def full_round(provider: OutlookProvider, access_token: str, calendar_id: str) -> list[Changes]:
    """Every page of a first round over one calendar."""
    now = datetime.now(UTC)
    pages = [provider.first_changes(access_token, calendar_id, now - timedelta(days=7), now + timedelta(days=60))]
    while (link := pages[-1].next_link) is not None:
        pages.append(provider.next_changes(access_token, link))
    return pages


@dataclass
class Desk:
    """The sandbox's control page, over HTTP."""

    url: str

    def __call__(self, method: str, path: str, **body: Any) -> Any:
        told = requests.request(method, f"{self.url}/desk/api/{path}", json=body if body else None, timeout=10)
        assert told.status_code < 300, told.text
        return told.json()

    def fault(self, kind: str, endpoint: str, **more: Any) -> None:
        """Order one misfortune."""
        self("POST", "faults", kind=kind, endpoint=endpoint, **more)

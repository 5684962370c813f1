"""A sandbox that is told to keep its state goes on after a restart as if nothing had been."""

from __future__ import annotations

import json
import os
from pathlib import Path

from portal.sandbox import Config, run_in_thread

from .conftest import Browser, Desk, Graph, Listener, eventually
from .test_delta import rounds
from .test_events import SPRING, event
from .test_subscriptions import wanted


def test_it_works(tmp_path: Path, listener: Listener) -> None:
    config = Config(port=0, state_file=str(tmp_path / "var" / "sandbox.json"))
    with run_in_thread(config) as server:
        told = Browser(server.url, config).connect("adele@contoso.example")
        graph = Graph(server.url, told["access_token"])
        key = graph("POST", "subscriptions", json=wanted(listener)).json()["id"]
        _, link = rounds(graph, f"me/calendarView/delta?{SPRING}")
        before = Desk(server.url)("GET", "state")
    with run_in_thread(config) as server:
        after = Desk(server.url)("GET", "state")
        assert after["accounts"] == before["accounts"]
        assert Browser(server.url, config).refresh(told["refresh_token"]).status_code == 200
        graph = Graph(server.url, told["access_token"])
        made = graph("POST", "me/events", json=event()).json()
        assert listener.wait_for(1)[0]["subscriptionId"] == key
        token = link.partition("?")[2]
        assert [row["id"] for row in graph.get(f"me/calendarView/delta?{token}")["value"]] == [made["id"]]


def test_it_is_saved_while_running(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    with run_in_thread(Config(port=0, state_file=str(path))) as server:
        Desk(server.url)("POST", "accounts", address="new@contoso.example", events=False)
        eventually(lambda: path.exists() and "new@contoso.example" in path.read_text())
        assert os.stat(path).st_mode & 0o777 == 0o600


def test_no_secret_is_in_the_file(tmp_path: Path) -> None:
    config = Config(port=0, state_file=str(tmp_path / "sandbox.json"))
    with run_in_thread(config) as server:
        told = Browser(server.url, config).connect("adele@contoso.example")
    text = (tmp_path / "sandbox.json").read_text()
    for secret in (told["access_token"], told["refresh_token"], told["id_token"], config.client_secret):
        assert secret not in text


def test_a_file_that_cannot_be_read_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.json"
    path.write_text('{"people": 7}')
    with run_in_thread(Config(port=0, state_file=str(path))) as server:
        assert Desk(server.url).account("adele@contoso.example")["enabled"]
    assert "adele@contoso.example" in json.dumps(json.loads(path.read_text()))


def test_a_new_secret_in_the_settings_counts(tmp_path: Path) -> None:
    path = str(tmp_path / "sandbox.json")
    with run_in_thread(Config(port=0, state_file=path)) as server:
        token = Browser(server.url, server.config).connect("adele@contoso.example")["refresh_token"]
    changed = Config(port=0, state_file=path, client_secret="another", redirect_uris=("https://new.example/cb",))
    with run_in_thread(changed) as server:
        browser = Browser(server.url, changed)
        assert browser.refresh(token).status_code == 200
        assert browser.refresh(token, client_secret=Config().client_secret).status_code == 401
        assert "AADSTS" not in browser.authorize(redirect_uri="https://new.example/cb").text

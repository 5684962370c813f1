"""Running the sandbox: as a program, in a thread, behind its Host check."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
import requests

from portal.sandbox import Config, create_app, run_in_thread
from portal.sandbox.config import BadSetting
from portal.sandbox.server import Server

from .conftest import Browser, Desk, Graph, Listener
from .test_events import event
from .test_subscriptions import wanted


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(**env: str) -> subprocess.Popen[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("SANDBOX_")}
    return subprocess.Popen(
        [sys.executable, "-m", "portal.sandbox"],
        env={**clean, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_works(ending: signal.Signals) -> None:
    port = free_port()
    process = start(SANDBOX_PORT=str(port))
    assert process.stdout is not None
    assert f"http://127.0.0.1:{port}/desk" in process.stdout.readline()
    assert requests.get(f"http://127.0.0.1:{port}/desk", timeout=30).status_code == 200
    process.send_signal(ending)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_a_receiver_that_does_not_answer_does_not_keep_it_from_ending(listener: Listener) -> None:
    port = free_port()
    process = start(SANDBOX_PORT=str(port))
    assert process.stdout is not None
    process.stdout.readline()
    url = f"http://127.0.0.1:{port}"
    graph = Graph(url, Browser(url, Config()).connect("adele@contoso.example")["access_token"])
    assert graph("POST", "subscriptions", json=wanted(listener)).status_code == 201
    listener.hold.clear()
    graph("POST", "me/events", json=event())
    listener.wait_for(1)
    process.terminate()
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_a_taken_port_is_one_plain_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start(SANDBOX_PORT=str(taken.getsockname()[1]))
        output, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert output == "" and errors.count("\n") == 1
    assert "already in use" in errors


@pytest.mark.parametrize("wrong", [{"SANDBOX_PORT": "many"}, {"SANDBOX_PUBLIC_URL": "login.example"}])
def test_a_wrong_setting_is_one_plain_sentence(wrong: dict[str, str]) -> None:
    with pytest.raises(BadSetting, match="SANDBOX_"):
        Config.from_environment(wrong)


def test_settings_come_from_the_environment() -> None:
    config = Config.from_environment(
        {"SANDBOX_REDIRECT_URIS": "https://a.example/cb, https://b.example/cb", "SANDBOX_CLIENT_SECRET": "other"}
    )
    assert config.redirect_uris[-2:] == ("https://a.example/cb", "https://b.example/cb")
    assert config.client_secret == "other"
    assert config.port == 8001


def test_strange_hosts_are_refused(server: Server) -> None:
    told = requests.get(f"{server.url}/desk", headers={"Host": "rebound.example"}, timeout=30)
    assert told.status_code == 421
    told = requests.get(f"{server.url}/common/discovery/v2.0/keys", headers={"Host": "rebound.example"}, timeout=30)
    assert told.status_code == 421


def test_a_public_url_opens_the_protocol_but_not_the_desk() -> None:
    config = Config(port=0, public_url="https://login.example", graph_url="https://graph.example")
    with run_in_thread(config) as server:
        at = f"{server.url}/common/v2.0/.well-known/openid-configuration"
        told = requests.get(at, headers={"Host": "alias.example"}, timeout=30).json()
        assert told["token_endpoint"] == "https://login.example/common/oauth2/v2.0/token"
        assert told["userinfo_endpoint"] == "https://graph.example/oidc/userinfo"
        assert requests.get(f"{server.url}/desk", headers={"Host": "alias.example"}, timeout=30).status_code == 421
        assert requests.get(f"{server.url}/desk", headers={"Host": "login.example"}, timeout=30).status_code == 200


def test_two_sandboxes_share_nothing() -> None:
    with run_in_thread() as one, run_in_thread() as two:
        Desk(one.url)("POST", "accounts", address="only@contoso.example")
        assert requests.get(f"{two.url}/desk/api/accounts/only@contoso.example", timeout=30).status_code == 400


def test_it_runs_inside_a_process_too() -> None:
    client = create_app(Config()).test_client()
    assert client.get("/common/v2.0/.well-known/openid-configuration").status_code == 200


def test_many_connections_are_served_at_once(server: Server) -> None:
    gate, statuses = threading.Barrier(60), []

    def ask() -> None:
        gate.wait(30)
        statuses.append(requests.get(f"{server.url}/desk/api/clock", timeout=60).status_code)

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 60

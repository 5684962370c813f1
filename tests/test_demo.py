"""The demo world from outside: its start, its words, its signals, and everything that could keep it from starting."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import requests

from tests.surfer import Surfer
from tests.terminal import Demo, Terminal, free_port, running, until

CAST = (
    *("alice@northwind.example", "bob@northwind.example", "dana@northwind.example"),
    *("charlie@fabrikam.example", "sam@coordinoter.example"),
)
ADELE = "adele@contoso.example"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo world for the tests that only look."""
    with running(tmp_path_factory.mktemp("demo") / "var") as started:
        yield started


def is_synced(surfer: Surfer) -> bool:
    surfer.get("/integrations")
    return "Syncing" not in surfer.words and "Not yet" not in surfer.words


def is_one_sentence(text: str) -> bool:
    return "Traceback" not in text and len(text.strip().splitlines()) == 1 and text.strip().endswith((".", "demo"))


def test_it_works(demo: Demo) -> None:
    assert f"The portal {demo.url}" in re.sub(" +", " ", demo.out)
    assert f"The sandbox Microsoft {demo.sandbox_url} " in re.sub(" +", " ", demo.out)
    assert "password integrations-demo" in demo.out
    for address in CAST:
        assert address in demo.out
    assert "Try this" in demo.out
    assert demo.err == ""


def test_everything_it_promises_is_there_when_it_says_so(tmp_path: Path) -> None:
    """No waiting, no second try: the sentence on the terminal is the promise."""
    with running(tmp_path / "var") as demo:
        assert requests.get(f"{demo.sandbox_url}/desk", timeout=20).status_code == 200
        assert requests.get(f"{demo.url}/sign-in", timeout=20).status_code == 200


def test_everybody_can_sign_in(demo: Demo) -> None:
    for address in CAST:
        Surfer(demo.url).sign_in(address)


def test_all_state_lives_in_var(demo: Demo) -> None:
    kept = {path.name for path in demo.var.iterdir()}
    assert {"portal.sqlite3", "keys.sqlite3", "demo-keys.json"} <= kept
    assert (demo.var / "demo-keys.json").stat().st_mode & 0o077 == 0, "its keys are nobody else's to read"


def test_it_listens_on_this_machine_only(demo: Demo) -> None:
    listening = {
        each.laddr
        for process in demo.members()
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }
    assert {(ip, port) for ip, port in listening} == {("127.0.0.1", demo.port), ("127.0.0.1", demo.sandbox_port)}


def test_all_children_are_in_its_process_group(demo: Demo) -> None:
    children = psutil.Process(demo.group).children(recursive=True)
    assert len(children) >= 3, "the sandbox, gunicorn and its worker"
    assert {os.getpgid(child.pid) for child in children} == {demo.group}
    assert {os.getsid(child.pid) for child in children} == {demo.group}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_foreign_host_header_is_refused(demo: Demo, host: str) -> None:
    """A page elsewhere whose name suddenly leads to this machine must not reach a world with published passwords."""
    for path in ("/", "/sign-in", "/help", "/static/js/portal.js"):
        answer = requests.get(f"{demo.url}{path}", headers={"Host": host}, timeout=20, allow_redirects=False)
        assert answer.status_code == 400, path
    for path in ("/desk", "/desk/api/state", "/common/v2.0/.well-known/openid-configuration", "/v1.0/me"):
        answer = requests.get(f"{demo.sandbox_url}{path}", headers={"Host": host}, timeout=20)
        assert answer.status_code == 421, path
    reset = requests.post(f"{demo.sandbox_url}/desk/api/reset", headers={"Host": host}, timeout=20)
    assert reset.status_code == 421


def test_a_name_of_this_machine_is_welcome(demo: Demo) -> None:
    for host in ("localhost", f"localhost:{demo.port}", "127.0.0.1"):
        assert requests.get(f"{demo.url}/sign-in", headers={"Host": host}, timeout=20).status_code == 200


@pytest.mark.parametrize("taken", ["PORT", "SANDBOX_PORT"])
def test_a_taken_port_is_a_plain_sentence(tmp_path: Path, taken: str) -> None:
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()
        port = squatter.getsockname()[1]
        ports = {"port": port} if taken == "PORT" else {"sandbox_port": port}
        with Demo(tmp_path / "var", **ports) as demo:
            assert demo.end() == 1
            assert demo.out == ""
            assert is_one_sentence(demo.err), demo.err
            assert f"Port {port}" in demo.err
            assert f"{taken}=" in demo.err, "it says which setting helps"
            assert demo.members() == []


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PORTAL_BASE_URL": "http://portal.example.com"}, "PORTAL_BASE_URL"),
        ({"PORTAL_TOKEN_KEYS": "short"}, "PORTAL_TOKEN_KEYS"),
        ({"PORT": "eight thousand"}, "PORT"),
        pytest.param({"PORTAL_BASE_URL": "https://portal.example.com"}, "PORTAL_BASE_URL", marks=pytest.mark.long),
        pytest.param({"PORTAL_BASE_URL": "not an address"}, "PORTAL_BASE_URL", marks=pytest.mark.long),
        pytest.param({"PORT": "70000"}, "PORT", marks=pytest.mark.long),
        pytest.param({"SANDBOX_PORT": "-1"}, "SANDBOX_PORT", marks=pytest.mark.long),
    ],
)
def test_a_wrong_setting_is_a_plain_sentence(tmp_path: Path, settings: dict[str, str], named: str) -> None:
    usual = {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port()), "PORTAL_VAR": str(tmp_path / "var")}
    with Terminal(tmp_path, "-m", "flask", "--app", "wsgi", "demo", **{**usual, **settings}) as demo:
        assert demo.end() == 1
        assert is_one_sentence(demo.err), demo.err
        assert named in demo.err
        assert demo.out == ""


def test_without_the_sandbox_the_provider_must_be_named(tmp_path: Path) -> None:
    with Demo(tmp_path / "var", "--no-sandbox") as demo:
        assert demo.end() == 1
        assert is_one_sentence(demo.err), demo.err
        assert "MICROSOFT_CLIENT_" in demo.err


def test_a_database_of_another_version_is_a_plain_sentence(tmp_path: Path, sqlite_template: Path) -> None:
    """Instead of pages that break later."""
    var = tmp_path / "var"
    var.mkdir()
    shutil.copy(sqlite_template / "main.db", var / "portal.sqlite3")
    with closing(sqlite3.connect(var / "portal.sqlite3")) as older:
        older.execute("ALTER TABLE disconnections DROP COLUMN key_found_in")
    with Demo(var) as demo:
        assert demo.end() == 1
        assert is_one_sentence(demo.err), demo.err
        assert "disconnections has no key_found_in" in demo.err
        assert "make demo-reset" in demo.err


def test_ctrl_c_stops_cleanly_and_a_second_start_keeps_the_data(tmp_path: Path) -> None:
    var = tmp_path / "var"
    with running(var) as first:
        surfer = Surfer(first.url)
        surfer.sign_in("alice@northwind.example")
        surfer.connect(ADELE)
        until(lambda: is_synced(surfer), "the first sync")
        assert first.interrupt() == 0
        assert first.members() == []
        assert "Traceback" not in first.out + first.err
        assert first.err == ""
        assert "Stopped" in first.out
    with running(var, port=first.port, sandbox_port=first.sandbox_port) as second:
        surfer.get("/integrations")
        assert surfer.path == "/integrations", "whoever was signed in still is"
        assert ADELE in surfer.words
        stranger = Surfer(second.url)
        stranger.get("/sign-in")
        for address in CAST:
            assert stranger.words.count(address) == 1, "nobody was seeded twice"
        assert second.interrupt() == 0


def test_a_start_right_after_a_kill_works_and_reset_starts_afresh(tmp_path: Path) -> None:
    var = tmp_path / "var"
    alice = Surfer("")
    with running(var) as first:
        alice.url = first.url
        alice.sign_in("alice@northwind.example")
        alice.connect(ADELE)
        for _ in range(5):  # connections that the server closes first linger in TIME_WAIT on its port
            requests.get(f"{first.url}/healthz", headers={"Connection": "close"}, timeout=20)
            requests.get(f"{first.sandbox_url}/desk", headers={"Connection": "close"}, timeout=20)
        held = socket.create_connection(("127.0.0.1", first.port))
        first.kill()
    with held, running(var, port=first.port, sandbox_port=first.sandbox_port) as second:
        alice.get("/integrations")
        assert ADELE in alice.words
        second.kill()
    with running(var, "--reset", port=first.port, sandbox_port=first.sandbox_port) as third:
        alice.get("/integrations")
        assert alice.path == "/sign-in", "nobody is known any more"
        alice.sign_in("alice@northwind.example")
        alice.get("/integrations")
        assert "Not connected" in alice.words
        third.kill()


def test_a_reset_leaves_a_running_world_alone(demo: Demo) -> None:
    with Demo(demo.var, "--reset", port=demo.port, sandbox_port=demo.sandbox_port) as second:
        assert second.end() == 1
        assert is_one_sentence(second.err), second.err
    assert (demo.var / "portal.sqlite3").exists()
    Surfer(demo.url).sign_in("alice@northwind.example")


def test_another_provider_can_take_the_sandboxs_place(tmp_path: Path) -> None:
    """`--no-sandbox`, with a provider that was started elsewhere."""
    port, elsewhere = free_port(), free_port()
    registration = {"CLIENT_ID": "00000000-c00d-4000-8000-0000000000bb", "CLIENT_SECRET": "s" * 32}
    sandbox = {f"SANDBOX_{name}": value for name, value in registration.items()}
    sandbox |= {
        "SANDBOX_PORT": str(elsewhere),
        "SANDBOX_REDIRECT_URIS": f"http://127.0.0.1:{port}/integrations/outlook-calendar/callback",
    }
    microsoft = {f"MICROSOFT_{name}": value for name, value in registration.items()}
    microsoft |= dict.fromkeys(("MICROSOFT_AUTHORITY", "MICROSOFT_GRAPH_URL"), f"http://127.0.0.1:{elsewhere}")
    with Terminal(tmp_path, "-m", "portal.sandbox", **sandbox) as provider:
        provider.wait_for("runs at")
        with running(tmp_path / "var", "--no-sandbox", port=port, **microsoft) as demo:
            assert "sandbox" not in demo.out
            alice = Surfer(demo.url)
            alice.sign_in("alice@northwind.example")
            alice.connect(ADELE)
            until(lambda: is_synced(alice), "the first sync")
            alice.get("/integrations")
            alice.press("Disconnect from Microsoft")
            alice.press("Disconnect")
            until(lambda: alice.get(alice.path) and "is disconnected" in alice.heading, "the receipt")
            assert demo.interrupt() == 0
            assert provider.process.poll() is None, "what it did not start it does not stop"


@pytest.mark.parametrize(
    "command", [("-c", "import wsgi"), ("-m", "gunicorn", "wsgi:app", "--no-control-socket", "--bind", "127.0.0.1:0")]
)
def test_a_half_configured_portal_does_not_start(tmp_path: Path, command: tuple[str, ...]) -> None:
    settings = {"PORTAL_BASE_URL": "https://portal.example.com", "MICROSOFT_CLIENT_SECRET": "x" * 32}
    with Terminal(tmp_path, *command, **settings) as started:
        assert started.end() != 0
        said = [line for line in started.err.splitlines() if "Coordinoter cannot start" in line]
        assert len(said) == 1, started.err
        assert said[0].startswith("Coordinoter cannot start: PORTAL_SECRET_KEY is not set")
        assert "Traceback" not in started.err
        if command[0] == "-c":
            assert is_one_sentence(started.err)


def test_a_disconnection_survives_the_death_of_the_process(tmp_path: Path) -> None:
    """The worker is killed at Microsoft's door; gunicorn starts another, and the run goes on to its receipt."""
    with running(tmp_path / "var") as demo:
        alice = Surfer(demo.url)
        alice.sign_in("alice@northwind.example")
        alice.connect(ADELE)

        def desk(method: str, path: str, **body: object) -> object:
            answer = requests.request(method, f"{demo.sandbox_url}/desk/api/{path}", json=body or None, timeout=20)
            assert answer.ok, answer.text
            return answer.json()

        until(lambda: is_synced(alice), "the first sync")
        held = desk("GET", f"accounts/{ADELE}")
        assert isinstance(held, dict)
        assert len(held["subscriptions"]) == 1
        desk("POST", "faults", kind="delay", endpoint="subscriptions", delay=30, times=1)
        alice.get("/integrations")
        alice.press("Disconnect from Microsoft")
        alice.press("Disconnect")
        address = alice.path
        assert address.startswith("/disconnections/")

        def at_the_door() -> bool:
            calls = desk("GET", "faults")
            assert isinstance(calls, list)
            return any(fault["met"] for fault in calls)

        until(at_the_door, "the call that hangs")
        alice.get(address)
        assert "End notifications" in alice.words
        assert "is disconnected" not in alice.heading
        killed = demo.worker()
        killed.kill()
        until(lambda: not psutil.pid_exists(killed.pid), "the worker to be gone")

        def ended() -> bool:
            try:
                alice.get(address)
            except requests.ConnectionError:
                return False
            return "is disconnected" in alice.heading

        until(ended, "the receipt")
        assert demo.worker().pid != killed.pid
        assert "This did not work" not in alice.words
        held = desk("GET", f"accounts/{ADELE}")
        assert isinstance(held, dict)
        assert held["subscriptions"] == []
        alice.get("/integrations")
        assert "Not connected" in alice.words

"""The demo world: the portal with its engine and the sandbox Microsoft in one terminal, with people to play."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from portal.config import ConfigError, Settings, load, var_dir

PASSWORD = "integrations-demo"  # noqa: S105 - published on purpose; demo mode only
CLIENT_ID = "00000000-c00d-4000-8000-000000000001"
ACCOUNTS = (
    ("alice@northwind.example", "owns a calendar to connect"),
    ("bob@northwind.example", "works with Alice"),
    ("dana@northwind.example", "is their administrator"),
    ("charlie@fabrikam.example", "works somewhere else"),
    ("sam@coordinoter.example", "gives support"),
)


def environment(environ: Mapping[str, str], *, sandbox: bool) -> dict[str, str]:
    """The settings of the demo: what is given stays, what is missing is supplied. Raises ConfigError."""
    env = dict(environ)
    kept = _kept_secrets(var_dir(environ))
    client_secret = kept.pop("SANDBOX_CLIENT_SECRET")
    port, sandbox_port = _port(env, "PORT", 8000), _port(env, "SANDBOX_PORT", 8001)
    env["PORTAL_DEMO"] = "1"
    env["PORT"] = port
    env["PORTAL_BASE_URL"] = env.get("PORTAL_BASE_URL") or f"http://127.0.0.1:{port}"
    for name, value in kept.items():
        env[name] = env.get(name) or value
    if sandbox:
        callback = f"{env['PORTAL_BASE_URL']}/integrations/outlook-calendar/callback"
        origin = env.get("SANDBOX_PUBLIC_URL") or f"http://127.0.0.1:{sandbox_port}"
        env["SANDBOX_PORT"] = sandbox_port
        env["SANDBOX_STATE"] = env.get("SANDBOX_STATE") or str(var_dir(environ) / "sandbox-state")
        env["SANDBOX_CLIENT_ID"] = env.get("SANDBOX_CLIENT_ID") or CLIENT_ID
        env["SANDBOX_CLIENT_SECRET"] = env.get("SANDBOX_CLIENT_SECRET") or client_secret
        env["SANDBOX_REDIRECT_URIS"] = ",".join(filter(None, (env.get("SANDBOX_REDIRECT_URIS"), callback)))
        env["MICROSOFT_AUTHORITY"] = origin
        env["MICROSOFT_GRAPH_URL"] = env.get("SANDBOX_GRAPH_URL") or origin
        env["MICROSOFT_CLIENT_ID"] = env["SANDBOX_CLIENT_ID"]
        env["MICROSOFT_CLIENT_SECRET"] = env["SANDBOX_CLIENT_SECRET"]
        env.pop("MICROSOFT_CLIENT_CERTIFICATE", None)  # the sandbox knows the secret
    env.pop("FLASK_RUN_FROM_CLI", None)
    return env


def reset(environ: Mapping[str, str]) -> None:
    """Forget all demo data: everything under var/, and nothing else."""
    shutil.rmtree(var_dir(environ), ignore_errors=True)


def run(environ: Mapping[str, str], *, sandbox: bool, prepare: object, afresh: bool = False) -> int:
    """Run the whole world until Ctrl-C. `prepare(settings)` migrates and seeds. Returns the exit code.

    `afresh` forgets all demo data first, but never that of a world that runs: its ports are taken.
    """
    try:
        env = environment(environ, sandbox=sandbox)
        settings = load(env)
    except ConfigError as error:
        return _fail(f"The demo cannot start: {error}")
    port = int(env["PORT"])
    ports = [(port, "PORT", "the portal")]
    if sandbox:
        ports.append((int(env["SANDBOX_PORT"]), "SANDBOX_PORT", "the sandbox Microsoft"))
    for number, name, whose in ports:
        if not _is_free(number):
            return _fail(
                f"Port {number}, meant for {whose}, is already in use. Stop what uses it, or choose another with "
                f"{name}, for example: {name}={number + 100} make demo"
            )
    if afresh:
        reset(environ)
        env = environment(environ, sandbox=sandbox)  # its keys were forgotten too
        settings = load(env)
    assert callable(prepare)
    prepare(settings)
    return _watch(env, settings, sandbox=sandbox)


def _watch(env: dict[str, str], settings: Settings, *, sandbox: bool) -> int:
    """Start the children in our own process group, and end them all when one ends or we are told to."""
    children: list[subprocess.Popen[bytes]] = []
    stopping = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop)
    root = str(Path(__file__).resolve().parent.parent)
    try:
        if sandbox:
            children.append(subprocess.Popen([sys.executable, "-m", "portal.sandbox"], env=env, cwd=root))
        children.append(subprocess.Popen(_gunicorn(int(env["PORT"])), env=env, cwd=root))
        addresses = [f"http://127.0.0.1:{env['PORT']}/healthz"]
        if sandbox:
            addresses.append(f"http://127.0.0.1:{env['SANDBOX_PORT']}/desk/api/clock")
        if _answer(addresses, children, lambda: stopping):
            _tell(settings, sandbox=sandbox)
        while not stopping and all(child.poll() is None for child in children):
            time.sleep(0.2)
        code = 0 if stopping else 1
        if code:
            print("One part of the demo stopped by itself; ending the rest.", file=sys.stderr)
    finally:
        for child in reversed(children):
            if child.poll() is None:
                child.terminate()
        for child in children:
            try:
                child.wait(timeout=15)
            except subprocess.TimeoutExpired:
                child.kill()
    print("\nStopped. Your demo data is kept in var/; start again with: make demo", flush=True)
    return code


def _gunicorn(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "wsgi:app", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "1", "--threads", "1100", "--worker-connections", "1300"),
        *("--graceful-timeout", "5", "--no-control-socket", "--log-level", "warning"),
    ]


def _tell(settings: Settings, *, sandbox: bool) -> None:
    lines = [
        "",
        "  Coordinoter is running.",
        "",
        f"    The portal              {settings.base_url}",
    ]
    if sandbox:
        lines.append(f"    The sandbox Microsoft   {settings.microsoft_authority}  (its desk: /desk)")
    lines += ["", f"  Sign in to the portal as one of these, password {PASSWORD}:", ""]
    lines += [f"    {address:<27} {who}" for address, who in ACCOUNTS]
    if sandbox:
        lines += [
            "",
            "  Try this: sign in as alice@northwind.example, choose Manage Integrations, press Connect to Microsoft,",
            "  pick adele@contoso.example and press Accept. Look at the Agenda. Then press Disconnect from Microsoft,",
            "  and read at the sandbox's desk what Microsoft still holds.",
        ]
    lines += ["", "  Ctrl-C stops everything. Your data stays in var/; make demo-reset starts afresh.", ""]
    print("\n".join(lines), flush=True)


def _is_free(port: int) -> bool:
    """Whether we could listen there. SO_REUSEADDR, as the servers themselves do: TIME_WAIT is not "taken"."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _answer(addresses: list[str], children: list[subprocess.Popen[bytes]], stopping: object) -> bool:
    """Wait until every address answers: what we tell people to open must be there. False when that cannot be."""
    assert callable(stopping)
    waiting = list(addresses)
    for _ in range(600):
        if stopping() or any(child.poll() is not None for child in children):
            return False
        try:
            while waiting:
                urllib.request.urlopen(waiting[0], timeout=5).close()  # noqa: S310 - our own addresses
                waiting.pop(0)
            return True
        except OSError:
            time.sleep(0.1)
    return False


def _port(env: Mapping[str, str], name: str, usual: int) -> str:
    text = env.get(name) or str(usual)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ConfigError(f"{name} must be a number from 1 to 65535, not {text!r}.")
    return text


def _kept_secrets(var: Path) -> dict[str, str]:
    """Random keys of this demo, made once and kept in var/ so that a second start can open what the first sealed."""
    path = var / "demo-keys.json"
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = {
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_TOKEN_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
        "SANDBOX_CLIENT_SECRET": secrets.token_urlsafe(32),
        "PORTAL_RECEIPT_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    var.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(made, file)
    return made


def _fail(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1

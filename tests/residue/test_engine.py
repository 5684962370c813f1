"""A whole life with the real engine: connect, sync, refresh, disconnect. What passed the wire is written down nowhere.

The tap on the sandbox's wire knows every secret that was ever issued or sent. None of them may be in any table of the
engine's (or of ours), in any file, or in any log line, as it is or in base64.
"""

from __future__ import annotations

import base64
import logging
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import inspect, text
from werkzeug.serving import make_server

from portal import durable
from portal.db import db
from portal.models import Connection, Disconnection
from portal.workflows import disconnect, sync
from tests.residue.conftest import Residue, Tap
from tests.residue.test_backups import stop
from tests.world import World

ADELE = "adele@contoso.example"


class Listener(logging.Handler):
    """Hears everything that anybody logs, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.names: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.names.add(record.name)
        self.lines.append(f"{self.format(record)} {record.__dict__}")


@contextmanager
def listening() -> Iterator[Listener]:
    """Everybody talks as much as they can, and the listener hears it."""
    listener, names = Listener(), ("", "dbos", "portal", "werkzeug", "urllib3", "authlib")
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
        if name == "" or not logging.getLogger(name).propagate:
            logging.getLogger(name).addHandler(listener)
    try:
        yield listener
    finally:
        for name, (level, _) in before.items():
            logging.getLogger(name).removeHandler(listener)
            logging.getLogger(name).setLevel(level)


def until(true: Callable[[], Any], what: str) -> None:
    """Wait for the engine to do its work."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        db.session.rollback()
        happened = true()
        db.session.rollback()  # an open transaction of ours would keep the engine from writing
        if happened:
            return
        time.sleep(0.1)
    pytest.fail(f"never happened: {what}")


def live(world: World) -> None:
    """Connect, sync, refresh, stumble and disconnect, with the engine doing all the work."""

    def synced() -> bool:
        row = db.session.scalars(db.select(Connection).where(Connection.state == "connected")).one_or_none()
        return row is not None and row.last_sync_at is not None and row.sync_wanted_at is None

    alice = world.sign_in("alice@northwind.example")
    alice.connect(ADELE)
    until(synced, "the first sync")
    connection = world.connection()
    connection_id, member_id, first = connection.id, connection.member_id, connection.last_sync_at
    db.session.rollback()
    world.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    assert sync.want(connection_id)
    until(lambda: synced() and world.connection().last_sync_at > first, "a sync with a refresh")
    world.microsoft.breaks("status", "subscriptions", status=503, times=1)
    assert disconnect.begin(connection_id, member_id) is not None
    until(lambda: db.session.scalars(db.select(Disconnection.finished_at)).one() is not None, "the disconnection")


def tables() -> dict[str, list[bytes]]:
    """Every value in every table of the main database, the engine's tables among them."""
    found: dict[str, list[bytes]] = {}
    with db.engine.begin() as connection:
        looked = inspect(connection)
        schemas = [None] if db.engine.dialect.name == "sqlite" else looked.get_schema_names()
        for schema in schemas:
            if schema == "information_schema":
                continue
            for table in looked.get_table_names(schema=schema):
                name = f'"{schema}"."{table}"' if schema else f'"{table}"'
                rows = connection.execute(text(f"SELECT * FROM {name}"))
                values = [value for row in rows for value in row if value is not None]
                found[table] = [each if isinstance(each, bytes) else str(each).encode() for each in values]
    return found


def spellings(secret: bytes) -> list[bytes]:
    """As it is, and what is left of it in base64 at each of the three places where it may begin."""
    found = [secret]
    for before in range(3):
        whole = base64.b64encode(bytes(before) + secret)
        inner = whole[4:-4] if before else whole[:-4]
        found += [inner, inner.translate(bytes.maketrans(b"+/", b"-_"))]
    return found


def seen(tap: Tap, places: dict[str, list[bytes]]) -> set[tuple[str, str]]:
    """Which kinds of secret are where."""
    return {
        (place, kind)
        for place, values in places.items()
        for kind, several in tap.heard.items()
        for secret in several
        for spelled in spellings(secret.encode())
        if any(spelled in value for value in values)
    }


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_it_works(request: pytest.FixtureRequest, database: str, residue: Residue, tap: Tap, tmp_path: Path) -> None:
    world: World = request.getfixturevalue("world" if database == "sqlite" else "pg_world")
    with listening() as listener:
        durable.launch(world.app)
        logging.getLogger("dbos").setLevel(logging.DEBUG)
        try:
            live(world)
        finally:
            durable.shut_down()
    assert {"access_token", "refresh_token", "id_token", "code", "code_verifier", "client_secret"} <= set(tap.heard)
    assert {"clientState", "$deltatoken", "nonce", "state"} <= set(tap.heard)
    assert len(tap.heard["access_token"]) >= 3, "sign-in, refresh and the last try"
    engine = tables()
    assert len(engine["workflow_status"]) > 20
    assert len(engine["operation_outputs"]) > 20
    assert seen(tap, engine) == set()
    assert {"dbos", "portal.sync", "urllib3.connectionpool"} & listener.names
    assert seen(tap, {"log": ["\n".join(listener.lines).encode()]}) == set()
    if database == "sqlite":
        assert seen(tap, {file.name: [file.read_bytes()] for file in tmp_path.glob("*.db*")}) == set()
    assert residue(world.app).exit_code == (0 if database == "sqlite" else 3)

    # And now the same with a secret in the engine's table: everything above must be able to see it.
    secret = next(iter(tap.heard["access_token"]))
    stored = base64.b64encode(pickle.dumps({"args": (secret,), "kwargs": {}})).decode()
    schema = "" if database == "sqlite" else "dbos."
    with db.engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema}operation_outputs SET output = :it"), {"it": stored})
    assert ("operation_outputs", "access_token") in seen(tap, tables())
    told = residue(world.app)
    assert told.exit_code == 1
    assert any(kind.endswith("in base64") for kind in told.kinds())
    stop()


def test_the_listener_hears_and_would_tell(tap: Tap) -> None:
    """The proof must be able to fail: whoever logs a token is caught, in a message, an argument or a traceback."""
    tap.heard["access_token"] = {secret := "1.AXkA" + "x1Y2" * 40}
    for name in ("portal.tokens", "dbos", "werkzeug", "urllib3.connectionpool"):
        for log in (
            lambda logger: logger.debug("got %s", secret),
            lambda logger: logger.debug(f"got {secret}"),
            lambda logger: logger.info("got", extra={"more": secret}),
            _log_a_traceback,
        ):
            with listening() as listener:
                log(logging.getLogger(name))  # type: ignore[no-untyped-call]
            assert seen(tap, {"log": ["\n".join(listener.lines).encode()]}), name


def _log_a_traceback(logger: logging.Logger) -> None:
    try:
        raise ValueError("1.AXkA" + "x1Y2" * 40)
    except ValueError:
        logger.exception("it broke")


def test_a_development_server_does_not_log_the_code(world: World, tap: Tap) -> None:
    """Microsoft sends the browser back with the code in the address, and Werkzeug's server logs addresses."""
    code, state = "1.AXkA" + "c0dE" * 40, "st4tE" * 8
    tap.heard = {"code": {code}, "state": {state}}
    with listening() as listener:
        server = make_server("127.0.0.1", 0, world.app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_port}/integrations/outlook-calendar/callback"
            requests.get(address, params={"code": code, "state": state}, allow_redirects=False, timeout=20)
        finally:
            server.shutdown()
            server.server_close()
    assert any("/callback" in line for line in listener.lines), "the request is logged"
    assert seen(tap, {"log": ["\n".join(listener.lines).encode()]}) == set()

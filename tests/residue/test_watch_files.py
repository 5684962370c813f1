"""The nightly look through raw files: what it finds is mended, recorded and counted; what it cannot read is told."""

from __future__ import annotations

import base64
import logging
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Activity
from portal.parts import parts
from portal.workflows import counters, watch_files
from portal.workflows.activity import record
from tests.residue.conftest import Server
from tests.residue.test_disconnection import disconnected
from tests.world import CLIENT_ID, CLIENT_SECRET, World

NOBODY = "f" * 32
TOKEN = "1.AXkA" + secrets.token_urlsafe(180)

Configured = Callable[..., None]


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch) -> Configured:
    """The environment of the portal at hand: the look is taken by a process of its own."""

    def configure(main: str = "", keys: str = "") -> None:
        settings = parts().settings
        environment = {
            "PORTAL_DEMO": "1",
            "PORTAL_BASE_URL": settings.base_url,
            "PORTAL_SECRET_KEY": settings.secret_key,
            "PORTAL_TOKEN_KEYS": base64.b64encode(b"t" * 32).decode(),
            "PORTAL_RECEIPT_KEYS": base64.b64encode(b"r" * 32).decode(),
            "PORTAL_DATABASE_URL": (main or settings.database_url).replace("+psycopg", ""),
            "PORTAL_KEYS_URL": (keys or settings.keys_url).replace("+psycopg", ""),
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return configure


def recorded(event: str) -> list[tuple[str | None, str]]:
    """Connection and detail of what the watch wrote down."""
    db.session.rollback()
    asked = select(Activity.connection_id, Activity.detail).where(Activity.event == event)
    return [(row.connection_id, row.detail) for row in db.session.execute(asked)]


def leave_bytes_of_a_destroyed_key() -> None:
    """As a kill between the deletion of a key and the rewriting of the files leaves them."""
    vault = parts().vault
    vault.get_or_make(NOBODY)
    with closing(sqlite3.connect(str(vault.engine.url.database), isolation_level=None)) as careless:
        careless.execute("PRAGMA wal_autocheckpoint = 0")
        careless.execute("UPDATE data_keys SET created_at = '2026-01-01 00:00:00.000000'")
        careless.execute("DELETE FROM data_keys WHERE owner = ?", (NOBODY,))


def test_it_works(world: World, configured: Configured) -> None:
    world.connected()
    configured()
    assert watch_files.watch_files() == {"found": 0, "mended": 0, "unread": 0}
    assert recorded("watch:residue") == recorded("watch:unread") == []
    assert counters.values()["residue_found"] == counters.values()["residue_unread"] == 0


def test_bytes_of_a_destroyed_key_are_found_and_overwritten(world: World, configured: Configured) -> None:
    configured()
    leave_bytes_of_a_destroyed_key()
    told = watch_files.watch_files()
    assert told["found"] == told["mended"] >= 1
    owners = {owner for owner, _detail in recorded("watch:residue")}
    assert owners == {NOBODY}
    assert all("destroyed data key" in detail and "mended" in detail for _owner, detail in recorded("watch:residue"))
    assert counters.values()["residue_found"] == told["found"]
    assert watch_files.watch_files()["found"] == 0, "the next night finds nothing"


def test_what_it_cannot_mend_is_told_every_night_and_never_quoted(
    world: World, configured: Configured, caplog: pytest.LogCaptureFixture
) -> None:
    configured()
    record("planted", member_id=None, connection_id=None, detail=TOKEN)
    db.session.commit()
    with caplog.at_level(logging.INFO):
        told = watch_files.watch_files()
    assert told["found"] >= 1
    assert told["mended"] == 0
    notes = recorded("watch:residue")
    assert notes
    assert all("refresh token or code in the clear" in detail and "still there" in detail for _owner, detail in notes)
    assert TOKEN[:20] not in str(notes) + caplog.text
    assert [each.levelname for each in caplog.records if each.name == "portal.watch"] == ["CRITICAL"]
    assert watch_files.watch_files()["found"] >= 1


def test_a_look_that_takes_too_long_is_told_as_none(
    world: World, configured: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured()
    monkeypatch.setattr(watch_files, "SECONDS", 0.05)
    assert watch_files.watch_files() == {"found": 0, "mended": 0, "unread": 1}
    assert recorded("watch:unread") == [(None, "the look was not taken: TimeoutExpired")]
    assert counters.values()["residue_unread"] == 1


def test_postgresql_s_log_that_is_not_recycled_is_recorded_and_counts_as_no_find(
    pg_world: World, configured: Configured
) -> None:
    pg_world.connected()
    owner = disconnected(pg_world)
    configured()
    assert watch_files.watch_files() == {"found": 0, "mended": 0, "unread": 0}
    notes = recorded("watch:residue")
    assert owner in {owner for owner, _detail in notes}
    assert all(detail.endswith(watch_files.BOUNDED) for _owner, detail in notes)


def test_files_that_may_not_be_read_are_told_as_such(pg_world: World, configured: Configured, server: Server) -> None:
    """At many customers PostgreSQL is on a machine of its own: clean is not what that may be called."""
    server.run("CREATE ROLE plain LOGIN")
    for database in (server.main, server.keys):
        server.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain", database)
    configured(*(url.replace("//postgres:", "//plain:") for url in (server.main, server.keys)))
    told = watch_files.watch_files()
    assert told["found"] == 0
    assert told["unread"] >= 2
    ((_nobody, detail),) = recorded("watch:unread")
    assert f"{told['unread']} places could not be read, the first: " in detail
    assert counters.values()["residue_unread"] == 1

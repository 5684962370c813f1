"""Yesterday's back-up of the main database, restored after a disconnection, brings no usable token back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from portal import create_app
from portal.db import db
from portal.models import Token
from portal.parts import parts
from portal.vault import CannotOpen, KeysAway
from portal.workflows import sync
from tests.door import Door
from tests.residue.conftest import Residue, Server
from tests.residue.test_disconnection import disconnected
from tests.world import CARD, World


@contextmanager
def restarted(world: World, door: Door) -> Iterator[World]:
    """The same portal in a new process, as far as it can tell."""
    app = create_app(world.app.extensions["settings"])
    app.config["TESTING"] = True
    door.app = app
    with app.app_context():
        yield World(app, world.microsoft)
        stop()
    if "durable" in app.extensions:
        app.extensions["durable"].destroy()


def stop() -> None:
    """Close every connection, as a process does that ends."""
    db.session.remove()
    db.engine.dispose()
    parts().vault.engine.dispose()


def holds_no_usable_token(world: World, connection_id: str) -> None:
    """The row is back and says "connected"; nothing behind it can be opened, and the person is asked to reconnect."""
    connection = world.connection()
    assert (connection.id, connection.state) == (connection_id, "connected")
    row = db.session.get_one(Token, connection_id)
    for purpose, text in (("access_token", row.access_sealed), ("refresh_token", row.refresh_sealed)):
        assert text
        with pytest.raises(CannotOpen):
            parts().vault.open(connection_id, purpose, text)
    db.session.rollback()
    calls = len(world.microsoft.calls())
    assert sync.want(connection_id)
    world.work()
    assert len(world.microsoft.calls()) == calls, "there was nothing to call with"
    assert (world.connection().state, world.connection().attention_reason) == ("needs_attention", "token_unreadable")


def and_goes_on(world: World) -> None:
    """Reconnecting brings it back to life, and it can be disconnected as ever."""
    alice = world.sign_in("alice@northwind.example")
    assert "Reconnect" in alice.get(CARD).get_text()
    alice.connect("adele@contoso.example", button="Reconnect")
    world.work()
    assert world.connection().state == "connected"
    owner = disconnected(world)
    assert not parts().vault.has_key(owner)


def test_it_works(world: World, door: Door, residue: Residue, tmp_path: Path) -> None:
    world.connected()
    stop()
    backup = tmp_path / "backup"
    backup.mkdir()
    for file in tmp_path.glob("main.db*"):
        shutil.copy(file, backup)
    assert residue(world.app, backup).fine() > 0, "before the disconnection the back-up can be opened"
    connection_id = disconnected(world)
    stop()
    for file in tmp_path.glob("main.db*"):
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, tmp_path)
    with restarted(world, door) as again:
        told = residue(again.app, backup)
        assert (told.exit_code, told.fine()) == (0, 0), told.output
        assert told.report["cannot_be_opened"] > 5
        holds_no_usable_token(again, connection_id)
        and_goes_on(again)


def recycle_the_log(server: Server) -> None:
    """What a server does in the course of time: move on, and remove the segments it has done with."""
    server.run("ALTER SYSTEM SET wal_recycle = off")
    server.run("ALTER SYSTEM SET min_wal_size = '32MB'")
    server.run("SELECT pg_reload_conf()")
    for _ in range(3):
        server.run("SELECT pg_switch_wal()")
        server.run("CREATE TABLE IF NOT EXISTS moved (on_ int)")
        server.run("INSERT INTO moved VALUES (1)")
        server.run("CHECKPOINT")


def test_on_postgresql(pg_world: World, server: Server, door: Door, residue: Residue) -> None:
    pg_world.connected()
    stop()
    server.run("CREATE DATABASE backup TEMPLATE main")
    connection_id = disconnected(pg_world)
    stop()
    server.run("DROP DATABASE main")
    server.run("CREATE DATABASE main TEMPLATE backup")
    with restarted(pg_world, door) as again:
        early = residue(again.app)
        assert early.exit_code == 3, "as long as the key is in the log, whoever has the log and a back-up ..."
        assert any(each["file"].startswith("table public.tokens") for each in early.report["findings"])
        recycle_the_log(server)
        late = residue(again.app)
        assert (late.exit_code, late.fine()) == (0, 0), late.output
        assert late.report["cannot_be_opened"] > 5
        holds_no_usable_token(again, connection_id)
        and_goes_on(again)


@pytest.mark.parametrize("after", ["reconnect", "disconnect"])
def test_a_lost_key_database_means_please_reconnect(both: World, after: str, tmp_path: Path) -> None:
    both.connected()
    connection_id = both.connection().id
    db.session.rollback()
    if both.app.extensions["settings"].keys_url.startswith("sqlite"):
        for file in tmp_path.glob("keys.db*"):
            file.unlink()
    else:
        with parts().vault.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE data_keys")
    alice = both.sign_in("alice@northwind.example")
    for page in ("/", "/integrations", CARD, "/agenda", "/help"):
        alice.get(page)
    assert sync.want(connection_id)
    both.work()
    assert (both.connection().state, both.connection().attention_reason) == ("needs_attention", "token_unreadable")
    for page in ("/", "/integrations", CARD, "/agenda", "/help"):
        alice.get(page)
    assert "Reconnect" in alice.get(CARD).get_text()
    if after == "reconnect":
        alice.connect("adele@contoso.example", button="Reconnect")
        both.work()
        assert both.connection().state == "connected"
        assert parts().vault.owners() == {connection_id}
        assert sync.want(connection_id)
        both.work()
        assert both.connection().state == "connected"
        return
    assert disconnected(both) == connection_id
    both.connected()
    assert both.connection().state == "connected"


def test_an_outage_of_the_key_database_asks_nobody_to_reconnect(world: World, tmp_path: Path) -> None:
    world.connected()
    connection_id = world.connection().id
    db.session.rollback()
    sealed = db.session.get_one(Token, connection_id).access_sealed
    db.session.rollback()
    parts().vault.engine.dispose()
    (tmp_path / "keys.db").rename(tmp_path / "away")
    (tmp_path / "keys.db").mkdir()  # as unreadable as a server that is down
    assert sync.want(connection_id)
    world.work()
    assert (world.connection().state, world.connection().sync_note) == ("connected", KeysAway.sentence)
    (tmp_path / "keys.db").rmdir()
    (tmp_path / "away").rename(tmp_path / "keys.db")
    assert parts().vault.open(connection_id, "access_token", sealed)


def test_an_unreadable_text_means_please_reconnect(both: World) -> None:
    both.connected()
    connection_id = both.connection().id
    db.session.get_one(Token, connection_id).access_sealed = "cns1.AAAA"
    db.session.commit()
    assert sync.want(connection_id)
    both.work()
    assert both.connection().attention_reason == "token_unreadable"
    and_goes_on(both)

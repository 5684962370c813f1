"""The command: what it reads besides, what it says and never says, and what its exit code means."""

from __future__ import annotations

import base64
import gzip
import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from contextvars import Context
from pathlib import Path

import pytest

from portal.db import db
from portal.keyring.wrapping import PortalKeys
from portal.models import Connection
from portal.parts import parts
from portal.residue.apart import CouldNotLook, look_apart
from portal.residue.files import pieces_of
from portal.residue.look import Known, Look, Stream, Where
from portal.residue.report import fingerprint
from portal.vault import Vault
from tests.residue.conftest import Residue, Tap
from tests.residue.test_backups import stop
from tests.world import CLIENT_ID, CLIENT_SECRET, World

NOBODY = "f" * 32
TOKEN = "1.AXkA" + secrets.token_urlsafe(180)


def said(world: World, *files: object) -> tuple[int, str]:
    """Exit code and output for people."""
    answer = Context().run(lambda: world.app.test_cli_runner().invoke(args=["residue", *map(str, files)]))
    return answer.exit_code, answer.output


def test_it_works(world: World) -> None:
    code, output = said(world)
    assert code == 0
    assert output.splitlines()[-1] == "Clean: nothing can be opened but what belongs to a living connection."


def test_a_log_a_folder_and_any_file_are_read(world: World, residue: Residue, tmp_path: Path) -> None:
    folder = tmp_path / "given" / "deep"
    folder.mkdir(parents=True)
    (folder / "access.log").write_text(
        f'127.0.0.1 "GET /integrations/outlook-calendar/callback?code={TOKEN}&state=s"\n'
    )
    (folder / "core").write_bytes(secrets.token_bytes(3_000_000) + TOKEN.encode() + bytes(3_000_000))
    (folder / "notes").write_text("nothing at all")
    (folder / ".env").write_text(f"MICROSOFT_CLIENT_SECRET={CLIENT_SECRET}\n")
    (folder / "keys.txt").write_text(base64.b64encode(b"t" * 32).decode())
    told = residue(world.app, tmp_path / "given")
    assert told.exit_code == 1
    assert told.kinds("access.log") == {"authorization code in the clear", "refresh token or code in the clear"}
    assert told.kinds("core") == {"refresh token or code in the clear"}
    (core,) = [each for each in told.report["findings"] if each["file"].endswith("core")]
    assert (core["offset"], core["sha256"]) == (3_000_000, fingerprint(TOKEN.encode()))
    assert told.kinds(".env") == {"client secret in the clear"}
    assert told.kinds("keys.txt") == {"portal key in base64"}
    assert told.kinds("notes") == set()


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_ever_said(world: World, residue: Residue, tap: Tap, tmp_path: Path, form: str) -> None:
    """Every secret of a whole life is put into a file, in the clear; the report tells of each and says none."""
    world.connected()
    file = tmp_path / "everything"
    file.write_bytes(b"\n".join(b'"refresh_token": "' + each + b'"' for each in tap.everything()))
    code, output = said(world, file) if form == "text" else (residue(world.app, file).exit_code, "")
    output = output or residue(world.app, file).output
    assert code == 1
    for secret in (*tap.everything(), CLIENT_SECRET.encode(), b"t" * 32):
        assert secret.decode() not in output
        assert secret.decode()[:20] not in output
        assert fingerprint(secret) in output or secret == b"t" * 32 or len(secret) < 20, "but each is told of"


def test_what_cannot_be_read_is_said_and_a_find_weighs_more(world: World, residue: Residue, tmp_path: Path) -> None:
    (tmp_path / "old.log.gz").write_bytes(gzip.compress(TOKEN.encode()))
    told = residue(world.app, tmp_path / "old.log.gz", tmp_path / "missing")
    assert told.exit_code == 2
    assert {each["file"]: each["why"] for each in told.report["unread"]} == {
        str(tmp_path / "old.log.gz"): "it is compressed (gzip): unpack it first",
        str(tmp_path / "missing"): "No such file or directory",
    }
    (tmp_path / "log").write_text(TOKEN)
    assert residue(world.app, tmp_path / "missing", tmp_path / "log").exit_code == 1


def test_an_unreadable_file_is_said(tmp_path: Path) -> None:
    file = tmp_path / "secret.log"
    file.write_text(TOKEN)
    file.chmod(0)
    look = Look(Known(PortalKeys((b"t" * 32,)), {}, frozenset(), frozenset()))
    me = os.geteuid()
    try:
        if me == 0:  # root may read everything
            os.seteuid(65534)
        for round_ in (look.for_keys, look.for_secrets):
            round_(Stream("secret.log", Where.ELSEWHERE, lambda: pieces_of(file)))
    finally:
        os.seteuid(me)
    assert (look.report.exit_code(), look.report.unread) == (2, [("secret.log", "Permission denied")])


def test_links_are_followed_to_files_and_told_where_they_are_not(
    world: World, residue: Residue, tmp_path: Path
) -> None:
    """What is left out is told, and opened never: a pipe would be waited at for ever."""
    logs, elsewhere = tmp_path / "logs", tmp_path / "elsewhere"
    logs.mkdir()
    elsewhere.mkdir()
    (elsewhere / "portal.log").write_text(TOKEN)
    (logs / "current.log").symlink_to(elsewhere / "portal.log")
    told = residue(world.app, logs)
    assert told.exit_code == 1
    assert told.kinds("logs/current.log") == {"refresh token or code in the clear"}
    (logs / "current.log").unlink()
    (logs / "day.log").write_text("nothing")
    (logs / "today").symlink_to(logs / "day.log")
    (logs / "up").symlink_to(logs)
    assert residue(world.app, logs).exit_code == 0, "what a link within the folder points to is met by itself"
    os.mkfifo(logs / "pipe")
    for name, target in (("days", elsewhere), ("lost", tmp_path / "nowhere"), ("round", logs / "round")):
        (logs / name).symlink_to(target)
    told = residue(world.app, logs, logs / "pipe")
    assert told.exit_code == 2
    assert {each["file"].removeprefix(f"{logs}/"): each["why"] for each in told.report["unread"]} == {
        "days": "it is a link to a folder: name that one, too",
        "lost": "No such file or directory",
        "pipe": "it is no file, but a pipe or the like",
        "round": "Too many levels of symbolic links",
    }


def test_what_cannot_be_read_keeps_nothing_else_from_being_read(world: World, residue: Residue, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (folder / "a").symlink_to(folder / "nowhere")
    (folder / "b.log").write_text(TOKEN)
    told = residue(world.app, folder)
    assert told.exit_code == 1
    assert len(told.report["unread"]) == 1
    assert told.kinds("b.log")


def test_a_key_of_no_living_connection_is_told(world: World, residue: Residue) -> None:
    parts().vault.get_or_make(NOBODY)
    assert residue(world.app).exit_code == 0, "it may belong to a sign-in that is just being written"
    with parts().vault.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE data_keys SET created_at = '2020-01-01 00:00:00.000000'")
    told = residue(world.app)
    assert told.exit_code == 1
    assert told.kinds() == {"data key of no living connection"}


def test_a_copy_of_the_key_database_is_told(world: World, residue: Residue, tmp_path: Path) -> None:
    """Keys in a back-up outlive their destruction."""
    world.connected()
    stop()
    (tmp_path / "backup").mkdir()
    shutil.copy(tmp_path / "keys.db", tmp_path / "backup")
    with closing(sqlite3.connect(tmp_path / "backup" / "keys.db")) as copy:
        (tmp_path / "backup" / "dump.sql").write_text("\n".join(copy.iterdump()))
    told = residue(world.app, tmp_path / "backup")
    assert told.exit_code == 1
    assert told.kinds("backup/keys.db") == told.kinds("dump.sql") == {"data key outside of the key database"}


def test_our_own_files_named_once_more_are_read_once(world: World, residue: Residue, tmp_path: Path) -> None:
    world.connected()
    assert residue(world.app, tmp_path).report["read"]["files"] == residue(world.app).report["read"]["files"]


def test_without_the_main_database_nothing_counts_as_living(world: World, residue: Residue) -> None:
    world.connected()
    db.session.execute(db.text("ALTER TABLE disconnections RENAME TO elsewhere"))
    db.session.commit()
    told = residue(world.app)
    assert "the databases" in {each["file"] for each in told.report["unread"]}
    assert told.exit_code in (1, 2)


def test_it_leaves_alone_what_it_came_to_look_at(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a kill: the log was never folded in. The last one to close a database does that, and tidies up."""
    stop()
    after_a_kill = tmp_path / "after"
    after_a_kill.mkdir()
    vault = Vault(f"sqlite:///{tmp_path}/keys.db", (b"t" * 32,))
    vault.get_or_make(NOBODY)
    vault.engine.dispose()
    with closing(sqlite3.connect(tmp_path / "keys.db", isolation_level=None)) as careless:
        careless.execute("PRAGMA wal_autocheckpoint = 0")
        careless.execute("PRAGMA secure_delete = ON")
        careless.execute("UPDATE data_keys SET created_at = '2026-01-01 00:00:00.000000'")
        careless.execute("DELETE FROM data_keys")
        for name in ("main.db", "keys.db", "keys.db-wal"):
            shutil.copy(tmp_path / name, after_a_kill)
    environment = {
        "PORTAL_DEMO": "1",
        "PORTAL_BASE_URL": "http://127.0.0.1:8000",
        "PORTAL_SECRET_KEY": "s" * 40,
        "PORTAL_TOKEN_KEYS": base64.b64encode(b"t" * 32).decode(),
        "PORTAL_RECEIPT_KEYS": base64.b64encode(b"r" * 32).decode(),
        "PORTAL_DATABASE_URL": f"sqlite:///{after_a_kill}/main.db",
        "PORTAL_KEYS_URL": f"sqlite:///{after_a_kill}/keys.db",
        "MICROSOFT_CLIENT_ID": CLIENT_ID,
        "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    told = look_apart(seconds=120)
    assert told["exit"] == 1
    found = told["findings"]
    assert {(Path(each["file"]).name, each["kind"], each["owner"]) for each in found} >= {
        ("keys.db-wal", "destroyed data key", NOBODY)
    }


def test_a_look_that_could_not_be_taken_is_no_clean_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-configured, the command does not start."""
    monkeypatch.setenv("PORTAL_TOKEN_KEYS", "not a key")
    with pytest.raises(CouldNotLook):
        look_apart(seconds=60)


def test_there_is_a_living_connection_to_open_things_of(world: World, residue: Residue) -> None:
    """The look is a real one: of a living connection it opens every kind of secret that is sealed."""
    world.connected()
    told = residue(world.app)
    purposes = {each["purpose"] for each in told.report["fine"]}
    assert purposes >= {"access_token", "refresh_token", "delta-link", "client-state"}
    assert db.session.query(Connection).count() == 1

"""PostgreSQL: tokens planted in heap, toast, log and live rows, and the command finds each."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import pytest

from portal.parts import parts
from portal.residue import wal
from portal.residue.sealed import texts
from portal.residue.windows import windows
from tests.residue.conftest import Residue, Server, Told
from tests.world import World

NOBODY, SOMEBODY = "f" * 32, "e" * 32
SEALED = "sealed text (refresh_token), opened by a key of no living connection"
CLEAR = "refresh token or code in the clear"


def token(size: int = 180) -> str:
    return "1.AXkA" + secrets.token_urlsafe(size)


def seal(secret: str) -> str:
    return parts().vault.seal(NOBODY, "refresh_token", secret)


def plant(server: Server, *values: str, compress: bool = False) -> None:
    """Rows in a table of the main database, written out to its files."""
    server.run("CREATE TABLE planted (a text)", server.main)
    if not compress:
        server.run("ALTER TABLE planted ALTER a SET STORAGE EXTERNAL", server.main)
    for value in values:
        server.run("INSERT INTO planted VALUES (%s)", server.main, value)
    server.run("CHECKPOINT")


def file_of(server: Server, relation: str) -> Path:
    """The file in which a table lies."""
    ((path,),) = server.run(f"SELECT pg_relation_filepath({relation})", server.main)
    return server.folder / str(path)


def kinds_in(told: Told, path: Path) -> set[str]:
    return {each["kind"] for each in told.report["findings"] if each["file"] == str(path)}


def test_heap_toast_log_and_rows(pg_world: World, server: Server, residue: Residue) -> None:
    assert residue(pg_world.app).exit_code == 0
    long = token(6000)
    plant(server, token(), seal(token()), long, seal(long), "a row that stays, so that the file does")
    heap = file_of(server, "'planted'")
    toast = file_of(server, "(SELECT reltoastrelid FROM pg_class WHERE relname = 'planted')")
    for state in ("live", "deleted"):
        if state == "deleted":
            server.run("DELETE FROM planted WHERE a NOT LIKE 'a row%%'", server.main)
            server.run("CHECKPOINT")
        told = residue(pg_world.app)
        assert told.exit_code == 1
        assert kinds_in(told, heap) >= {CLEAR, SEALED}, state
        assert kinds_in(told, toast) >= {CLEAR, SEALED.replace("refresh_token", "cut off")}, state
        assert told.kinds("pg_wal") >= {CLEAR, SEALED}, state
        assert told.kinds("table public.planted") == ({CLEAR, SEALED} if state == "live" else set())
        assert long not in told.output
    server.run("VACUUM planted", server.main)
    server.run("CHECKPOINT")
    assert kinds_in(residue(pg_world.app), heap) >= {CLEAR, SEALED}, "VACUUM leaves the bytes where they are"


def test_a_compressed_row_is_read_through_the_server(pg_world: World, server: Server, residue: Residue) -> None:
    """Compression breaks up what it finds twice, so the raw file alone would not tell."""
    secret = token()
    plant(server, "".join(f"{secret[:n]} " for n in range(1, len(secret))) * 30 + '"' + secret + '"', compress=True)
    told = residue(pg_world.app)
    assert "table public.planted, row" in {each["file"] for each in told.report["findings"]}
    assert secret not in told.output


def test_a_destroyed_key_in_a_dead_row_is_no_matter_of_the_log(
    pg_world: World, server: Server, residue: Residue, tmp_path: Path
) -> None:
    """Deleted the careless way the key stays in the table's file; destroyed properly only the log is left."""
    parts().vault.get_or_make(SOMEBODY)  # stays, and so does the table's file
    (tmp_path / "backup").write_text(seal(token()))
    server.run("CHECKPOINT")
    server.run("DELETE FROM data_keys WHERE owner = %s", server.keys, NOBODY)
    careless = residue(pg_world.app, tmp_path / "backup")
    assert careless.exit_code == 1
    in_tables = {each["kind"] for each in careless.report["findings"] if f"{server.folder}/base/" in each["file"]}
    assert in_tables == {"destroyed data key"}
    parts().vault.destroy(NOBODY)
    server.run("CHECKPOINT")
    proper = residue(pg_world.app, tmp_path / "backup")
    assert proper.exit_code == 3, proper.output
    assert {each["file"].rpartition("/")[0] for each in proper.report["findings"]} == {
        str(server.folder / "pg_wal"),
        str(tmp_path),
    }
    assert proper.report["wal_settings"]["min_wal_size"]


def test_keys_wrapped_anew_leave_their_old_wrapping_in_the_log(
    pg_world: World, server: Server, residue: Residue
) -> None:
    """A rotation writes records that leave out the owner, since that did not change; they are found all the same."""
    vault = parts().vault
    key = vault.get_or_make(NOBODY)
    server.run("CHECKPOINT")
    server.run("SELECT pg_switch_wal()")
    server.run("UPDATE data_keys SET created_at = now()", server.keys)  # the page's image, so that the next is short
    server.run(
        "UPDATE data_keys SET wrapped = %s, created_at = now()", server.keys, vault.portal_keys.wrap(NOBODY, key)
    )
    vault.destroy(NOBODY)
    told = residue(pg_world.app)
    assert told.exit_code == 3
    assert len({each["sha256"] for each in told.report["findings"]}) == 1, "one key, in several wrappings"
    assert len(told.report["findings"]) >= 3


def test_page_headers_of_the_log_hide_nothing(server: Server) -> None:
    """Many records of all lengths: the headers, every 8 kB, cut through a good many texts."""
    server.run("CREATE TABLE planted (a text)", server.main)
    written = {f"cns1.{secrets.token_urlsafe(60 + number % 97)}" for number in range(1500)}
    with_marks = ",".join("(%s)" for _ in written)
    server.run(f"INSERT INTO planted VALUES {with_marks}", server.main, *(f"{text} " for text in sorted(written)))
    segments = wal.segments(server.folder / "pg_wal")
    raw = {match.decode() for path in segments for match in re.findall(rb"cns1\.[\w-]+(?= )", path.read_bytes())}
    cut = written - raw
    assert cut, "some must be cut, or there is nothing to prove"
    seen = {text.text.decode() for window in windows(wal.pieces(segments)) for text in texts(window.data)}
    assert not written - seen


def test_what_cannot_be_read_is_said(pg_world: World, server: Server, residue: Residue, tmp_path: Path) -> None:
    elsewhere = residue(pg_world.app, "--pgdata", tmp_path / "nowhere")
    assert elsewhere.exit_code == 2
    assert {each["file"]: each["why"] for each in elsewhere.report["unread"]} == {
        str(tmp_path / "nowhere"): "No such file or directory"
    }
    (tmp_path / "other" / "global").mkdir(parents=True)
    (tmp_path / "other" / "global" / "pg_control").write_bytes(bytes(8192))
    other = residue(pg_world.app, "--pgdata", tmp_path / "other")
    assert (other.exit_code, other.report["unread"][0]["why"]) == (2, "this is the data directory of another server")
    given = residue(pg_world.app, "--pgdata", server.folder)
    assert given.exit_code == 0, given.output
    server.run("ALTER SYSTEM SET wal_compression = 'pglz'")
    server.run("SELECT pg_reload_conf()")
    for _ in range(50):
        told = residue(pg_world.app)
        if told.exit_code:
            break
    assert told.exit_code == 2
    assert "wal_compression is on" in told.report["unread"][0]["why"]


def test_a_server_that_does_not_tell_its_folder(pg_world: World, server: Server, residue: Residue) -> None:
    server.run("CREATE ROLE plain LOGIN")
    for database in (server.main, server.keys):
        server.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain", database)
        server.run("GRANT USAGE ON SCHEMA public TO plain", database)
    from sqlalchemy import create_engine

    from portal.residue import postgres

    url = server.main.replace("postgresql://postgres:", "postgresql+psycopg://plain:")
    engine = create_engine(url)
    asked = postgres.ask(engine)
    engine.dispose()
    assert asked.folder is None
    assert asked.oid > 0


@pytest.mark.parametrize(
    "name", ["000000010000000000000001", pytest.param("000000010000000000000001.partial", marks=pytest.mark.long)]
)
def test_a_segment_that_was_copied_is_read_as_one(
    pg_world: World, server: Server, residue: Residue, tmp_path: Path, name: str
) -> None:
    """In an archive the key stays for ever: that is no matter of recycling."""
    parts().vault.seal(NOBODY, "refresh_token", token())
    (source,) = [path for path in wal.segments(server.folder / "pg_wal") if NOBODY.encode() in path.read_bytes()]
    (tmp_path / name).write_bytes(source.read_bytes())
    parts().vault.destroy(NOBODY)
    told = residue(pg_world.app, tmp_path)
    assert told.exit_code == 1
    assert told.kinds(str(tmp_path)) >= {"destroyed data key"}

"""SQLite: tokens planted in every place where its files can hold one, and the command finds each."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from portal.parts import parts
from portal.residue import sqlite
from portal.residue.files import Held
from portal.residue.report import fingerprint
from portal.residue.sealed import texts
from tests.residue.conftest import Residue
from tests.world import World

NOBODY = "f" * 32


def token() -> str:
    return "1.AXkA" + secrets.token_urlsafe(180)


@contextmanager
def table(path: Path, *pragmas: str) -> Iterator[sqlite3.Connection]:
    """A connection of a careless program: deleted bytes stay where they are."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as raw:
        for pragma in ("secure_delete = OFF", *pragmas):
            raw.execute(f"PRAGMA {pragma}")
        raw.execute("CREATE TABLE IF NOT EXISTS planted (a TEXT)")
        yield raw


def live_row(path: Path, secret: str) -> None:
    with table(path) as raw:
        raw.execute("INSERT INTO planted VALUES (?)", (secret,))
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def deleted_row(path: Path, secret: str) -> None:
    with table(path) as raw:
        raw.execute("INSERT INTO planted VALUES (?)", (secret,))
        raw.execute("DELETE FROM planted")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def dropped_table(path: Path, secret: str) -> None:
    """Whole pages on the list of free ones."""
    with table(path) as raw:
        raw.executemany("INSERT INTO planted VALUES (?)", [(secret,)] * 40)
        raw.execute("DROP TABLE planted")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def log(path: Path, secret: str) -> None:
    """Only in the write-ahead log, and not even committed."""
    with table(path, "wal_autocheckpoint = 0", "cache_size = 1") as raw:
        raw.execute("BEGIN IMMEDIATE")
        raw.executemany("INSERT INTO planted VALUES (?)", [(secret,)] * 3000)
        raw.execute("ROLLBACK")


def journal(path: Path, secret: str) -> None:
    """In the rollback journal of a program that keeps it."""
    other = Path(f"{path}-journal")
    with table(path.with_name("other.db"), "journal_mode = PERSIST") as raw:
        raw.execute("INSERT INTO planted VALUES (?)", (secret,))
        raw.execute("UPDATE planted SET a = ?", ("x" * len(secret),))
    other.write_bytes(path.with_name("other.db-journal").read_bytes())
    path.with_name("other.db").unlink()


PLACES: dict[str, tuple[Callable[[Path, str], None], str]] = {
    "live row": (live_row, "main.db"),
    "deleted row": (deleted_row, "main.db"),
    "dropped table": (dropped_table, "main.db"),
    "write-ahead log": (log, "main.db-wal"),
    "rollback journal": (journal, "main.db-journal"),
}


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
@pytest.mark.parametrize("place", PLACES)
def test_it_works(world: World, residue: Residue, tmp_path: Path, place: str, sealed: bool) -> None:
    plant, file = PLACES[place]
    assert residue(world.app).exit_code == 0
    secret = token()
    with closing(sqlite3.connect(tmp_path / "main.db")) as open_elsewhere:  # so that nobody tidies the log away
        open_elsewhere.execute("SELECT count(*) FROM sqlite_master").fetchall()
        plant(tmp_path / "main.db", parts().vault.seal(NOBODY, "refresh_token", secret) if sealed else secret)
        told = residue(world.app)
    assert told.exit_code == 1, told.output
    wanted = "refresh token or code"
    if sealed:
        wanted = "sealed text (refresh_token), opened by a key of no living connection"
    assert any(kind.startswith(wanted) for kind in told.kinds(file)), told.output
    assert {each["owner"] for each in told.report["findings"]} == {NOBODY if sealed else ""}
    assert secret not in told.output


@pytest.mark.parametrize("file", ["keys.db", "keys.db-wal"])
def test_a_destroyed_key_in_the_key_database_is_found(
    world: World, residue: Residue, tmp_path: Path, file: str
) -> None:
    """Destroyed the careless way, the key can still be had from the files, and with it what it had sealed."""
    text = parts().vault.seal(NOBODY, "refresh_token", token())
    (tmp_path / "backup").write_text(text)
    parts().vault.engine.dispose()
    with table(tmp_path / "keys.db", "wal_autocheckpoint = 0") as raw:
        raw.execute("DELETE FROM data_keys WHERE owner = ?", (NOBODY,))
        if file == "keys.db":
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        told = residue(world.app, tmp_path / "backup")
    assert told.exit_code == 1
    assert "destroyed data key" in told.kinds(file), told.output
    assert told.kinds("backup") == {"sealed text (refresh_token), opened by a destroyed key"}
    parts().vault.destroy(NOBODY)
    after = residue(world.app, tmp_path / "backup")
    assert after.exit_code == 0, after.output


def torn_texts(path: Path, prefix: str) -> set[bytes]:
    """The sealed texts that are only whole when pages are put together."""
    held, found = Held(), set[bytes]()
    for stream in sqlite.torn(path, held):
        found |= {text.text for text in texts(b"".join(data for _, _, data in stream))}
    held.close()
    return {text for text in found if text.startswith(prefix.encode())}


LENGTH, PAGE = 9600, 4096
IN_THE_ROW = 489 + (LENGTH + 4 - 489) % (PAGE - 4) - 4  # https://www.sqlite.org/fileformat2.html#b_tree_pages
TEARS = (IN_THE_ROW, IN_THE_ROW + PAGE - 4)  # within a value that is so long: out of the row, and to the next page


def torn_rows(make: Callable[[], str]) -> dict[str, str]:
    """Long values with a text in each, so that a boundary goes through every one of its first letters."""
    rows = {}
    for at in (tear - before for tear in TEARS for before in range(40)):
        text = make()
        rows[" " * at + text + " " * (LENGTH - at - len(text))] = text
    return rows


@pytest.mark.parametrize("where", ["database", "log", "journal"])
def test_a_text_torn_by_a_page_boundary_is_put_together(tmp_path: Path, where: str) -> None:
    path = tmp_path / "torn.db"
    mode = {"database": "DELETE", "log": "WAL", "journal": "PERSIST"}[where]
    rows = torn_rows(lambda: "cns1." + secrets.token_urlsafe(60))
    with table(path, f"journal_mode = {mode}", "wal_autocheckpoint = 0") as raw:
        raw.executemany("INSERT INTO planted VALUES (?)", [(row,) for row in rows])
        if where == "journal":
            raw.execute("UPDATE planted SET a = 'gone' || substr(hex(zeroblob(5000)), 1, length(a) - 4)")
        files = {name: file.read_bytes() for file in sqlite.files(path) if (name := file.name[7:]) != "-shm"}
        torn = [text for text in rows.values() if not any(text.encode() in data for data in files.values())]
        assert len(torn) > 70, "a boundary goes through nearly all of them, or there is nothing to prove"
        assert torn[0][:20].encode() not in b"".join(files.values())
        found = torn_texts(path, "cns1.")
    assert not {text.encode() for text in torn} - found


def test_a_torn_token_is_found_by_the_command(world: World, residue: Residue, tmp_path: Path) -> None:
    rows = torn_rows(lambda: "M.C507_BAY.0.U.-" + secrets.token_urlsafe(180))
    with table(tmp_path / "main.db") as raw:
        raw.executemany("INSERT INTO planted VALUES (?)", [(row,) for row in rows])
    found = {each["sha256"] for each in residue(world.app).report["findings"]}
    missing = [text for text in rows.values() if fingerprint(text.encode()) not in found]
    assert not missing, f"{len(missing)} of {len(rows)}"

"""Data keys: wrapped anew while the portal runs, unreadable ones in nobody's way, and lost ones no disaster."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event, text

from portal.keyring import rotate, scour, table
from portal.vault import CannotOpen, KeysAway, Vault, key_id
from tests.conftest import _at

OLD, NEW, STRANGE = b"1" * 32, b"2" * 32, b"3" * 32
OWNER, OTHER = "a" * 32, "b" * 32


@pytest.fixture(params=["sqlite", "postgresql"])
def keys_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A key database of each kind, empty."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/keys.db"
        return
    server, name = request.getfixturevalue("postgres"), f"k_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield _at(server, name).replace("postgresql://", "postgresql+psycopg://")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def open_vault(keys_url: str, *portal_keys: bytes) -> Vault:
    vault = Vault(keys_url, portal_keys or (OLD,))
    vault.create_table()
    return vault


@pytest.fixture
def vault(keys_url: str) -> Iterator[Vault]:
    """A vault with one portal key, as before a rotation."""
    made = open_vault(keys_url)
    yield made
    made.engine.dispose()


def wrapped(vault: Vault) -> dict[str, int]:
    """Portal key id to the number of data keys it wraps."""
    return {each.key_id: each.keys for each in vault.census()}


# --- rotation -------------------------------------------------------------------------------------------------------


def test_it_works(vault: Vault, keys_url: str) -> None:
    sealed = {owner: vault.seal(owner, "access_token", owner) for owner in (OWNER, OTHER)}
    both = open_vault(keys_url, NEW, OLD)
    assert wrapped(both) == {key_id(NEW): 0, key_id(OLD): 2}
    assert both.rotate() == 2
    assert wrapped(both) == {key_id(NEW): 2, key_id(OLD): 0}
    assert {owner: open_vault(keys_url, NEW).open(owner, "access_token", sealed[owner]) for owner in sealed} == {
        owner: owner for owner in sealed
    }


def test_the_portal_seals_and_opens_while_keys_are_rotated(vault: Vault, keys_url: str) -> None:
    owners = [f"{number:032d}" for number in range(60)]
    sealed = {owner: vault.seal(owner, "p", owner) for owner in owners}
    both, stop, trouble, done = open_vault(keys_url, NEW, OLD), threading.Event(), list[BaseException](), [0, 0]

    def work(which: int) -> None:
        try:
            while not stop.is_set():
                owner = owners[done[which] % len(owners)]
                assert both.open(owner, "p", sealed[owner]) == owner
                assert both.open(owner, "p", both.seal(owner, "p", "again")) == "again"
                both.seal(uuid.uuid4().hex, "p", "somebody new")
                done[which] += 1
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    rotator = open_vault(keys_url, NEW, OLD)
    assert rotator.rotate() == len(owners)
    stop.set()
    for thread in threads:
        thread.join(30)
    assert not trouble, trouble
    assert min(done) > 0
    assert wrapped(both)[key_id(OLD)] == 0


ROTATE = "import sys; from portal.vault import Vault; Vault(sys.argv[1], (b'2' * 32, b'1' * 32)).rotate()"


def test_a_kill_in_the_middle_loses_nothing_and_shows_that_it_goes_key_by_key(vault: Vault, keys_url: str) -> None:
    owners = [f"{number:032d}" for number in range(300)]
    sealed = {owner: vault.seal(owner, "p", owner) for owner in owners}
    both = open_vault(keys_url, NEW, OLD)
    child = subprocess.Popen([sys.executable, "-c", ROTATE, keys_url], start_new_session=True)
    try:
        while not wrapped(both)[key_id(NEW)]:  # seen from outside, so nothing holds one big transaction
            assert child.poll() is None, "it ended before anything was to be seen"
            time.sleep(0.005)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    after = wrapped(both)
    assert after[key_id(OLD)] > 0, "the kill came too late to prove anything"
    assert sum(after.values()) == len(owners)
    assert all(both.open(owner, "p", sealed[owner]) == owner for owner in owners)
    assert both.rotate() in (after[key_id(OLD)], after[key_id(OLD)] - 1), "a server may still end what was in flight"
    assert wrapped(both) == {key_id(NEW): len(owners), key_id(OLD): 0}
    assert all(open_vault(keys_url, NEW).open(owner, "p", sealed[owner]) == owner for owner in owners[::20])


def test_unreadable_keys_stop_nothing_and_are_counted(vault: Vault, keys_url: str) -> None:
    vault.seal(OWNER, "p", "fine")
    vault.seal(OTHER, "p", "to be damaged")
    open_vault(keys_url, STRANGE).seal("c" * 32, "p", "wrapped by a key that nobody has")
    with vault.engine.begin() as connection:
        connection.execute(text("UPDATE data_keys SET wrapped = :junk WHERE owner = :o"), {"junk": b"x", "o": OTHER})
    both = open_vault(keys_url, NEW, OLD)
    assert both.rotate() == 1
    told = {each.key_id: (each.role, each.keys, each.unreadable) for each in both.census()}
    assert told == {
        key_id(NEW): ("current", 1, 0),
        key_id(OLD): ("kept", 1, 1),
        key_id(STRANGE): ("not configured", 1, 1),
    }


def test_rotation_brings_no_destroyed_key_back_and_overwrites_no_newer_one(vault: Vault, keys_url: str) -> None:
    for owner in (OWNER, OTHER):
        vault.seal(owner, "p", "x")
    both = open_vault(keys_url, NEW, OLD)
    rows = {row.owner: row for row in table.rows(both.engine)}  # what a rotation has read ...
    vault.destroy(OWNER)
    vault.destroy(OTHER)
    sealed = vault.seal(OTHER, "p", "under a newer key")  # ... and what happened before it writes
    for row in rows.values():
        assert table.write(both.engine, rotate.replacing(row, b"k" * 32, both.portal_keys)) is False
    assert not both.has_key(OWNER)
    assert both.open(OTHER, "p", sealed) == "under a newer key"


def test_no_old_wrapping_stays_in_the_files(tmp_path: Path) -> None:
    keys_url = f"sqlite:///{tmp_path}/keys.db"
    vault = open_vault(keys_url)
    vault.get_or_make(OWNER)
    (row,) = table.rows(vault.engine)
    held = lambda: any(row.wrapped in file.read_bytes() for file in tmp_path.glob("keys.db*"))  # noqa: E731
    assert held(), "the test must be able to see it"
    open_vault(keys_url, NEW, OLD).rotate()
    assert not held()


# --- unreadable and lost --------------------------------------------------------------------------------------------


def test_a_data_key_that_cannot_be_unwrapped_is_replaced_when_something_is_sealed(vault: Vault, keys_url: str) -> None:
    before = open_vault(keys_url, STRANGE).seal(OWNER, "p", "old")
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", before)
    assert vault.open(OWNER, "p", vault.seal(OWNER, "p", "new")) == "new"
    with pytest.raises(CannotOpen):
        open_vault(keys_url, STRANGE).open(OWNER, "p", before)


def lose(vault: Vault, how: str) -> None:
    if how == "table":
        with vault.engine.begin() as connection:
            connection.execute(text("DROP TABLE data_keys"))
        return
    path = Path(str(vault.engine.url.database))
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    if how == "emptied":
        path.touch()


@pytest.mark.parametrize("how", ["table", "file", "emptied"])
def test_a_lost_key_database_is_an_empty_one(vault: Vault, how: str) -> None:
    if how != "table" and vault.engine.dialect.name != "sqlite":
        return  # a database of PostgreSQL's that is not there at all is an outage: below
    sealed = vault.seal(OWNER, "p", "secret")
    lose(vault, how)
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", sealed)
    assert (vault.has_key(OWNER), vault.owners(), vault.census()[0].keys) == (False, set(), 0)
    assert (vault.destroy(OWNER), vault.scour(), vault.rotate()) == (False, True, 0)
    assert vault.open(OWNER, "p", vault.seal(OWNER, "p", "again")) == "again"
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", sealed)


def test_many_who_seal_at_once_after_a_loss_agree_on_one_table(vault: Vault) -> None:
    lose(vault, "table")
    sealed: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda number=number: sealed.update({number: vault.seal(OWNER, "p", str(number))}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {number: vault.open(OWNER, "p", sealed[number]) for number in range(8)} == {n: str(n) for n in range(8)}


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/keys.db", "postgresql+psycopg://x@127.0.0.1:1/keys"])
def test_an_outage_is_not_a_loss(url: str) -> None:
    """Else one bad minute of a database server would ask every customer to reconnect."""
    vault = Vault(url, (OLD,))
    for use in (
        lambda: vault.open(OWNER, "p", "cns1.AAAA"),
        lambda: vault.seal(OWNER, "p", "secret"),
        lambda: vault.has_key(OWNER),
        lambda: vault.destroy(OWNER),
        vault.create_table,
    ):
        with pytest.raises(KeysAway):
            use()


def test_a_damaged_file_is_not_a_loss_and_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    path.write_bytes(b"this was a database once" * 100)
    before = path.read_bytes()
    vault = Vault(f"sqlite:///{path}", (OLD,))
    for use in (lambda: vault.open(OWNER, "p", "cns1.AAAA"), lambda: vault.seal(OWNER, "p", "x"), vault.create_table):
        with pytest.raises(KeysAway):
            use()
    assert path.read_bytes() == before


# --- rewriting the files --------------------------------------------------------------------------------------------


def test_many_who_ask_at_once_share_one_rewriting(vault: Vault) -> None:
    rewritten = []

    class Counting(scour.Scourer):
        def _rewrite(self) -> bool:
            rewritten.append(1)
            return super()._rewrite()

    scourer, answers = Counting(vault.engine), list[bool]()
    threads = [threading.Thread(target=lambda: answers.append(scourer.scour())) for _ in range(8)]
    with scourer._lock:
        for thread in threads:
            thread.start()
        while scourer._asked < 8:
            time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    assert answers == [True] * 8
    assert len(rewritten) == 1
    assert scourer.scour() is True
    assert len(rewritten) == 2, "whoever asks later gets a later rewriting"


def test_it_says_so_when_a_reader_holds_on_to_destroyed_keys(
    vault: Vault, keys_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scour, "TRIES", 1)
    vault.seal(OWNER, "p", "x")
    if vault.engine.dialect.name == "sqlite":
        vault.engine.dispose()
        event.listen(vault.engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout = 50"))
    reader = open_vault(keys_url).engine.connect()
    asks = "SELECT count(*) FROM data_keys" if vault.engine.dialect.name == "sqlite" else "SELECT 1 FROM pg_class"
    if vault.engine.dialect.name == "sqlite":
        raw = reader.connection.driver_connection
        raw.execute("BEGIN")
        raw.execute(asks).fetchall()
    else:
        reader = reader.execution_options(isolation_level="REPEATABLE READ")
        reader.execute(text(asks))
    vault.destroy(OWNER)
    assert vault.scour() is False
    reader.rollback()
    reader.connection.rollback()
    reader.close()
    assert vault.scour() is True


# --- the commands ---------------------------------------------------------------------------------------------------


def test_a_generated_key_is_a_fresh_one(app) -> None:  # type: ignore[no-untyped-def]
    runner = app.test_cli_runner()
    keys = {runner.invoke(args=["keys", "generate"]).output.strip() for _ in range(3)}
    assert len(keys) == 3
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {32}


@pytest.mark.parametrize("app_named", [(), ("--app", "wsgi")])
def test_a_key_is_generated_before_anything_is_configured(tmp_path: Path, app_named: tuple[str, ...]) -> None:
    """Half-configured the portal does not start, and without a key it is half-configured."""
    flask = Path(sys.executable).parent / "flask"
    ran = subprocess.run([flask, *app_named, "keys", "generate"], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(base64.b64decode(ran.stdout.strip(), validate=True)) == 32
    refused = subprocess.run([flask, *app_named, "keys", "list"], cwd=tmp_path, env={}, capture_output=True, text=True)
    assert refused.returncode != 0, "this one looks into the key database"


def test_rotate_and_list_tell_what_could_not_be_read(world) -> None:  # type: ignore[no-untyped-def]
    runner = world.app.test_cli_runner()
    vault = world.app.extensions["coordinoter"].vault
    vault.get_or_make(OWNER)
    assert runner.invoke(args=["keys", "rotate"]).output == "0 data keys were wrapped again.\n"
    open_vault(str(vault.engine.url), STRANGE).get_or_make(OTHER)
    answer = runner.invoke(args=["keys", "rotate"])
    assert answer.exit_code == 1
    assert "1 data keys could not be opened" in answer.output
    listed = [line.split() for line in runner.invoke(args=["keys", "list"]).output.splitlines()]
    assert [key_id(b"t" * 32), "current", "1", "0"] in listed
    assert [key_id(STRANGE), "not", "configured", "1", "1"] in listed

"""After a real disconnection nothing can be opened; before it everything can, so the look is a real one."""

from __future__ import annotations

from pathlib import Path

from portal.workflows import disconnect
from tests.residue.conftest import Residue, Server
from tests.world import World


def disconnected(world: World) -> str:
    """Disconnect the only connection; its id."""
    connection = world.connection()
    connection_id = connection.id
    assert disconnect.begin(connection.id, connection.member_id) is not None
    world.work()
    return connection_id


def test_it_works(world: World, residue: Residue, tmp_path: Path) -> None:
    world.connected()
    before = residue(world.app)
    assert before.exit_code == 0, before.output
    assert before.fine() >= 5, "tokens, links and the client state of a living connection can be opened"
    disconnected(world)
    after = residue(world.app)
    assert after.exit_code == 0, after.output
    assert after.fine() == 0
    assert after.report["cannot_be_opened"] >= 0


def test_on_postgresql_only_the_log_still_holds_a_key(pg_world: World, server: Server, residue: Residue) -> None:
    pg_world.connected()
    before = residue(pg_world.app)
    assert before.exit_code == 0, before.output
    assert before.fine() >= 5
    owner = disconnected(pg_world)
    after = residue(pg_world.app)
    assert after.exit_code == 3, after.output
    assert after.fine() == 0
    assert {each["bounded"] for each in after.report["findings"]} == {True}
    keys = [each for each in after.report["findings"] if each["kind"] == "destroyed data key"]
    assert {each["owner"] for each in keys} == {owner}
    assert all(Path(each["file"]).parent == server.folder / "pg_wal" for each in keys)
    assert {"max_wal_size", "min_wal_size", "wal_recycle"} <= set(after.report["wal_settings"])

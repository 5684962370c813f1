"""Where a connection may be named: every table is looked into, later ones too, and the receipt tells how many were."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text, insert, select

from portal.db import Base, db
from portal.models import Activity, Disconnection
from portal.workflows import disconnect, erase, traces
from portal.workflows.watch import watch
from tests import always
from tests.workflows.test_keys_away import steps
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long


def sever(world: World) -> str:
    connection = world.connection()
    connection_id = connection.id
    disconnect.begin(connection_id, connection.member_id)
    db.session.rollback()
    world.work()
    return connection_id


def test_it_works(both: World) -> None:
    both.connected()
    connection_id = sever(both)
    proof = steps(both)["prove_nothing_remains"]
    number = len(traces.tables())
    assert 15 < number < len(Base.metadata.tables)
    assert (proof["outcome"], proof["count"]) == ("Done", number)
    assert f"We looked in the {number} tables that could name this connection, and found nothing" in proof["detail"]
    assert erase.remains(connection_id) == []


def test_what_is_said_to_be_looked_into_is_looked_into(both: World) -> None:
    """One that lies in any column that is asked is found."""
    for table in traces.tables():
        for column in traces.columns(table):
            row = db.session.scalar(select(column).where(column.is_not(None)).limit(1))
            assert row is None or table.name in traces.found(row), column
    assert traces.found("f" * 32) == []


@contextmanager
def later(*columns: Column[str]) -> Iterator[Table]:
    """A table that nobody thought of when all this was written."""
    table = Table("later", Base.metadata, Column("number", Integer, primary_key=True), *columns)
    try:
        table.create(db.engine)
        yield table
    finally:
        db.session.rollback()
        table.drop(db.engine)
        Base.metadata.remove(table)


@pytest.mark.parametrize(
    "column",
    [
        lambda: Column("source", String(32)),
        lambda: Column("of_what", Text),
        lambda: Column("severed", ForeignKey("disconnections.connection_id")),
    ],
)
def test_a_table_that_is_added_later_is_looked_into(both: World, column: object) -> None:
    """Whatever its column is called."""
    assert callable(column)
    with later(column()) as table:
        both.connected()
        connection = both.connection()
        connection_id = connection.id
        disconnect.begin(connection_id, connection.member_id)
        db.session.execute(insert(table).values({table.columns[1]: connection_id}))
        db.session.commit()
        both.work()
        proof = steps(both)["prove_nothing_remains"]
        assert (proof["outcome"], proof["detail"].partition(".")[0]) == ("Failed", "Something was still there: later")
        assert f"later still names {connection_id}" in always.no_row_names_a_connection_that_is_gone()
        db.session.rollback()
        assert watch()["rows"] == 1
        assert erase.remains(connection_id) == []
        told = select(Activity.detail).where(Activity.event == "watch:orphan", Activity.connection_id == connection_id)
        assert db.session.scalars(told).one() == "later"
        assert always.no_row_names_a_connection_that_is_gone() == []


def test_a_key_to_connections_is_known_under_any_name(both: World) -> None:
    with later(Column("kept_by", ForeignKey("connections.id")), Column("noted_at", ForeignKey("members.id"))) as table:
        assert [each.name for each in traces.columns(table)] == ["kept_by"]
        assert traces.is_owner(table.c.kept_by)
        both.connected()
        connection_id = both.connection().id
        db.session.execute(insert(table).values(kept_by=connection_id))
        db.session.commit()
        assert "later" in erase.remains(connection_id)


def test_what_is_left_out_exists_and_the_account_alone_lasts() -> None:
    tables = Base.metadata.tables
    for name, columns in traces.HOLDS_ELSE.items():
        assert columns <= set(tables[name].c.keys()), name
    assert set(tables) >= traces.LASTING
    owned = {name for name, table in tables.items() if any(map(traces.is_owner, table.c))}
    assert owned == {"calendars", "connections", "copies", "placements", "self_checks", "subscriptions", "tokens"}
    assert Disconnection.__tablename__ in traces.LASTING

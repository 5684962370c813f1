"""The nightly watch: what belongs to no living connection is found, removed, recorded and counted."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy import DateTime, column, select, table, text, update

from portal import clock
from portal.db import db
from portal.models import Activity, Copy, Disconnection, DisconnectionStep
from portal.models.disconnection_step import FAILED
from portal.parts import parts
from portal.workflows import counters, disconnect, erase, receive, traces
from portal.workflows.watch import watch
from tests.outage import impatient
from tests.world import World

GHOST = "f" * 32
DATA_KEYS = table("data_keys", column("created_at", DateTime(timezone=True)))
ONE_COPY = "WHERE id = (SELECT id FROM copies LIMIT 1)"


def test_it_works(both: World) -> None:
    both.connected()
    assert watch() == {"rows": 0, "keys": 0, "runs": 0, "rewritten": 0}
    assert db.session.scalar(select(Copy.id)) is not None, "what lives is left alone"


def test_copies_that_the_database_would_not_let_go_are_told_and_go_at_night(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connected()
    connection_id = world.connection().id
    db.session.execute(text("CREATE TRIGGER stay BEFORE DELETE ON copies BEGIN SELECT RAISE(ABORT, 'no'); END"))
    db.session.commit()
    impatient(world, monkeypatch)
    ended = disconnect.begin(connection_id, world.connection().member_id)
    assert ended is not None
    world.work()
    told = {step.name: (step.outcome, step.detail) for step in world.disconnection().steps}
    assert told["erase_copies"] == (
        FAILED,
        "Something went wrong on our side. What we copied could not be deleted here yet. Our operators have been told, "
        "and we try again every night.",
    )
    outcome, detail = told["prove_nothing_remains"]
    assert outcome == FAILED
    assert "copies" in detail
    db.session.execute(text("DROP TRIGGER stay"))
    db.session.commit()
    assert watch()["rows"] > 0
    assert traces.found(connection_id) == []


def test_rows_of_no_connection_are_removed(both: World) -> None:
    both.connected()
    # Foreign keys refuse such rows; a restored back-up or a hand at the database could still bring them.
    if db.engine.dialect.name == "sqlite":
        db.session.rollback()
        with db.engine.connect() as connection:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.execute("PRAGMA foreign_keys=OFF")
            raw.execute(f"UPDATE copies SET connection_id = ? {ONE_COPY}", (GHOST,))
            raw.execute("PRAGMA foreign_keys=ON")
    else:
        db.session.execute(text("ALTER TABLE copies DROP CONSTRAINT fk_copies_connection_id_connections"))
        db.session.execute(
            text(f"UPDATE copies SET connection_id = :ghost {ONE_COPY}"),
            {"ghost": GHOST},
        )
        db.session.commit()
    assert watch()["rows"] == 1
    assert db.session.scalar(select(Copy.id).where(Copy.connection_id == GHOST)) is None
    assert db.session.scalar(select(Activity.detail).where(Activity.connection_id == GHOST)) == "copies"
    assert counters.values()["orphans_repaired"] == 1


def test_what_an_ended_disconnection_could_not_erase_is_removed(both: World) -> None:
    """Its receipt says that something was still there. It must neither stay, nor keep the account from coming back."""
    both.connected()
    connection = both.connection()
    disconnect.begin(connection.id, connection.member_id)
    failed = DisconnectionStep.name == "erase_copies"
    db.session.execute(update(DisconnectionStep).where(failed).values(outcome=FAILED, detail="It could not be done."))
    db.session.commit()
    both.work()
    left = erase.remains(both.disconnection().connection_id)
    assert left == ["connections", "calendars", "subscriptions", "copies"]
    db.session.rollback()
    assert watch()["rows"] > 20
    assert erase.remains(both.disconnection().connection_id) == []
    db.session.rollback()
    both.connected()
    assert both.connection().state == "connected"
    assert watch()["rows"] == 0, "what lives is left alone"


def test_keys_of_no_connection_are_destroyed_but_young_ones_spared(both: World) -> None:
    vault = parts().vault
    vault.seal(GHOST, "p", "x")
    assert watch()["keys"] == 0
    with vault.engine.begin() as connection:
        connection.execute(update(DATA_KEYS).values(created_at=clock.now() - timedelta(hours=2)))
    assert watch()["keys"] == 1
    assert not vault.has_key(GHOST)


def test_a_stuck_run_is_started_again(both: World) -> None:
    both.connected()
    connection = both.connection()
    disconnect.begin(connection.id, connection.member_id)
    db.session.execute(update(Disconnection).values(deadline_at=clock.now() - timedelta(hours=2)))
    db.session.commit()
    assert watch()["runs"] == 1
    assert counters.values()["runs_restarted"] == 1


def test_a_late_notification_is_counted(both: World) -> None:
    late = {"subscriptionId": "00000000-0000-0000-0000-000000000000", "clientState": "x", "changeType": "updated"}
    late |= {"resource": "Users/1/Events/2", "tenantId": "", "subscriptionExpirationDateTime": "2030-01-01T00:00:00Z"}
    body = json.dumps({"value": [late]}).encode()
    assert receive.notifications("outlook-calendar", body) == 0
    assert counters.values()["late_notifications"] == 1

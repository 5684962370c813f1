"""The disconnection, step by step, on SQLite and on PostgreSQL, against the sandbox."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from portal import clock
from portal.db import Base, db
from portal.models import Connection, Copy, Disconnection, DisconnectionStep, Receipt, Subscription, Token
from portal.parts import parts
from portal.workflows import carry_out, disconnect, erase, sync, traces
from portal.workflows.carry_out import attempt
from portal.workflows.disconnect import STEPS
from portal.workflows.epoch import Fenced, writing
from portal.workflows.promise import Work, up_to_the_minute
from portal.workflows.subscribe import LIFE
from tests.world import World

ADELE = "adele@contoso.example"


def begin(world: World) -> Disconnection:
    connection = world.connection()
    started = disconnect.begin(connection.id, connection.member_id)
    assert started is not None
    return started


def account(world: World) -> dict[str, Any]:
    """The receipt's body."""
    world.work()
    body: dict[str, Any] = json.loads(db.session.get_one(Receipt, world.disconnection().id).body)
    return body


def outcome(body: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(step for step in body["steps"] if step["name"] == name)
    return found


def test_it_works(both: World) -> None:
    both.connected()
    connection_id = both.connection().id
    assert db.session.scalar(select(func.count()).select_from(Copy)) > 20
    assert len(both.microsoft.holds(ADELE)["subscriptions"]) == 1
    begin(both)
    body = account(both)
    assert [step["outcome"] for step in body["steps"]] == [
        *("Done", "Done", "Done", "LeftToYou", "Expires", "Done", "Done", "Done", "Done"),
    ]
    assert erase.remains(connection_id) == []
    assert not parts().vault.has_key(connection_id)
    held = both.microsoft.holds(ADELE)
    assert held["subscriptions"] == []
    assert held["grants"], "the sandbox is like Microsoft: consent stays until the person removes it"


def test_the_fence_moves_state_and_epoch_and_stops_syncs_at_once(both: World) -> None:
    both.connected()
    before = both.connection()
    epoch, connection_id = before.epoch, before.id
    begin(both)
    after = both.connection()
    assert (after.state, after.epoch) == ("disconnecting", epoch + 1)
    copies = db.session.scalar(select(func.count()).select_from(Copy))
    db.session.rollback()
    calls = len(both.microsoft.calls())
    assert sync.want(connection_id) is False
    sync.read_changes(connection_id)
    assert len(both.microsoft.calls()) == calls, "nothing remote may happen after the fence"
    assert db.session.scalar(select(func.count()).select_from(Copy)) == copies


def test_every_step_may_run_again(both: World) -> None:
    both.connected()
    disconnection_id = begin(both).id
    db.session.rollback()
    for step in STEPS:
        assert attempt(step.name, disconnection_id) is None
        ended = select(DisconnectionStep.outcome, DisconnectionStep.ended_at, DisconnectionStep.attempts).where(
            DisconnectionStep.disconnection_id == disconnection_id, DisconnectionStep.name == step.name
        )
        first = db.session.execute(ended).one()
        db.session.rollback()
        assert attempt(step.name, disconnection_id) is None
        assert db.session.execute(ended).one() == first
        db.session.rollback()
    receipt = db.session.get_one(Receipt, disconnection_id)
    body = receipt.body
    db.session.rollback()
    carry_out.run(disconnection_id)
    assert db.session.get_one(Receipt, disconnection_id).body == body


@pytest.mark.postgresql_is_long
@pytest.mark.parametrize("name", [step.name for step in STEPS])
def test_a_step_whose_end_was_not_recorded_runs_to_the_same_end(both: World, name: str) -> None:
    """As after a kill between a step's effect and its record: the effect is there, the outcome is not."""
    both.connected()
    disconnection_id = begin(both).id
    db.session.rollback()
    for step in STEPS:
        attempt(step.name, disconnection_id)
        if step.name == name:
            break
    forget = update(DisconnectionStep).where(DisconnectionStep.name == name).values(outcome=None, ended_at=None)
    db.session.execute(forget)
    db.session.commit()
    body = account(both)
    assert all(step["outcome"] for step in body["steps"])
    assert not [step for step in body["steps"] if step["outcome"] == "Failed"]
    assert erase.remains(both.disconnection().connection_id) == []


def test_two_clicks_are_one_disconnection(both: World) -> None:
    both.connected()
    connection = both.connection()
    first = disconnect.begin(connection.id, connection.member_id)
    second = disconnect.begin(connection.id, connection.member_id)
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert db.session.scalar(select(func.count()).select_from(Disconnection)) == 1


def test_erase_now_from_two_tabs_at_once_is_asked_once(both: World) -> None:
    """Only PostgreSQL lets one of them read while the other one writes."""
    both.connected()
    row = begin(both)
    if db.engine.dialect.name != "postgresql":
        return
    before, mine = clock.now() - timedelta(seconds=5), db.session.get_one(Disconnection, row.id)
    assert mine.erase_now_at is None, "read before the other tab's word"
    with db.engine.begin() as others:
        others.execute(update(Disconnection).values(erase_now_at=before))
    disconnect.erase_now(mine.id)
    assert db.session.scalars(select(Disconnection.erase_now_at)).all() == [before]


def test_microsoft_unreachable_erases_here_and_says_so(both: World) -> None:
    both.connected()
    connection_id = both.connection().id
    both.microsoft.breaks("drop", "all", times=None)
    disconnection_id = begin(both).id
    disconnect.erase_now(disconnection_id)
    body = account(both)
    both.microsoft.mend()
    assert erase.remains(connection_id) == []
    assert not parts().vault.has_key(connection_id)
    ended = outcome(body, "end_notifications")
    assert ended["outcome"] == "Expires"
    assert "not answering" in ended["detail"]
    assert body["subscription_ends_at"] is not None
    assert outcome(body, "withdraw_access")["outcome"] == "LeftToYou"
    assert outcome(body, "try_the_old_token")["outcome"] == "Failed"
    assert len(both.microsoft.holds(ADELE)["subscriptions"]) == 1, "the receipt said that it lives on, and it does"


def test_after_the_deadline_erasure_happens_regardless(both: World) -> None:
    both.connected()
    both.microsoft.breaks("status", "subscriptions", status=503, times=None)
    both.microsoft.breaks("status", "token", status=503, times=None)
    begin(both)
    body = account(both)  # the deadline of the tests is two seconds
    both.microsoft.mend()
    assert outcome(body, "end_notifications")["outcome"] == "Expires"
    assert outcome(body, "end_notifications")["attempts"] >= 2
    assert outcome(body, "erase_tokens")["outcome"] == "Done"
    assert outcome(body, "prove_nothing_remains")["outcome"] == "Done"


def test_a_short_outage_is_waited_out(both: World) -> None:
    both.connected()
    both.microsoft.breaks("status", "subscriptions", status=503, times=1)
    begin(both)
    body = account(both)
    ended = outcome(body, "end_notifications")
    assert (ended["outcome"], ended["attempts"]) == ("Done", 2)
    assert both.microsoft.holds(ADELE)["subscriptions"] == []


def test_consent_withdrawn_at_microsoft_blocks_nothing(both: World) -> None:
    both.connected()
    both.microsoft.desk("POST", f"accounts/{ADELE}/withdraw", tenant_wide=False)
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    connection_id = both.connection().id
    begin(both)
    body = account(both)
    assert erase.remains(connection_id) == []
    assert outcome(body, "end_notifications")["outcome"] == "Expires"
    assert "did not accept" in outcome(body, "try_the_old_token")["detail"]


def test_unreadable_tokens_block_nothing(both: World) -> None:
    both.connected()
    connection_id = both.connection().id
    parts().vault.destroy(connection_id)
    begin(both)
    body = account(both)
    assert erase.remains(connection_id) == []
    assert "no readable token" in outcome(body, "try_the_old_token")["detail"]
    assert outcome(body, "end_notifications")["outcome"] == "Expires"
    assert outcome(body, "end_notifications")["detail"].startswith("We can no longer open our own tokens, so")


def test_a_missing_token_row_blocks_nothing(both: World) -> None:
    both.connected()
    connection_id = both.connection().id
    db.session.delete(db.session.get_one(Token, connection_id))
    db.session.commit()
    begin(both)
    account(both)
    assert erase.remains(connection_id) == []


def test_the_receipt_names_no_mailbox_and_holds_no_secret(both: World) -> None:
    both.connected()
    connection = both.connection()
    names = [connection.account_address, connection.account_name, connection.account_subject]
    begin(both)
    text = json.dumps(account(both))
    assert not [name for name in names if name and name in text]


def test_what_lapses_is_what_microsoft_holds(both: World) -> None:
    """The time on the receipt is the last moment at which an access token issued to us is alive there."""
    both.connected()
    begin(both)
    body = account(both)
    held = both.microsoft.holds(ADELE)
    assert held["access_tokens"]["living"] >= 1
    last = datetime.fromisoformat(held["access_tokens"]["last_expires"])
    told = datetime.fromisoformat(body["lapses_at"])
    assert timedelta(0) <= told - last < timedelta(seconds=70), "in full minutes, and never too early"


def test_looking_for_remains_can_fail(both: World) -> None:
    """The proof must be able to find something: plant one row of each kind and see it named."""
    both.connected()
    connection_id = both.connection().id
    assert set(erase.remains(connection_id)) == {"calendars", "connections", "copies", "subscriptions", "tokens"}


def test_every_table_that_names_a_connection_is_covered() -> None:
    naming = {table.name for table in Base.metadata.sorted_tables if "connection_id" in table.c}
    held = {"calendars", "copies", "placements", "self_checks", "subscriptions", "tokens"}
    assert naming - traces.LASTING == held
    for table in Base.metadata.sorted_tables:
        if "connection_id" in table.c:
            indexed = {column.name for index in table.indexes for column in index.columns}
            unique = {
                column.name
                for each in table.constraints
                for column in getattr(each, "columns", [])
                if len(each.columns) == 1  # type: ignore[attr-defined]
            }
            assert "connection_id" in indexed | unique, f"{table.name} would be scanned"


def test_a_subscription_of_a_colleague_to_the_same_mailbox_stays(both: World) -> None:
    both.connected("alice@northwind.example", ADELE)
    both.connected("bob@northwind.example", ADELE)
    connections = db.session.scalars(select(Connection).order_by(Connection.created_at)).all()
    assert len(connections) == 2
    owners = set(db.session.scalars(select(Subscription.connection_id)))
    idle = next(each for each in connections if each.id not in owners) if len(owners) < 2 else connections[1]
    idle_id, member_id = idle.id, idle.member_id
    before = len(both.microsoft.holds(ADELE)["subscriptions"])
    db.session.rollback()
    disconnect.begin(idle_id, member_id)
    db.session.rollback()
    both.work()
    left = len(both.microsoft.holds(ADELE)["subscriptions"])
    assert left == before - (1 if len(owners) == 2 else 0)


def test_the_steps_are_promises_in_words() -> None:
    assert [step.name for step in STEPS] == [
        "stop_syncing",
        "end_notifications",
        "remove_our_meetings",
        "withdraw_access",
        "try_the_old_token",
        "erase_tokens",
        "erase_copies",
        "prove_nothing_remains",
        "tell_you",
    ]
    for step in STEPS:
        assert step.title
        assert step.promise.endswith(".")


def test_a_local_step_is_tried_again_even_after_the_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.connected()
    row = begin(world)
    disconnection_id, row.deadline_at = row.id, row.started_at
    db.session.commit()
    destroyed, fails = parts().vault.destroy, [True]

    def away(owner: str) -> bool:
        if fails and fails.pop():
            raise OSError("the key file cannot be written")
        return destroyed(owner)

    monkeypatch.setattr(parts().vault, "destroy", away)
    wait = attempt("erase_tokens", disconnection_id)
    assert wait is not None
    assert wait > 0
    assert attempt("erase_tokens", disconnection_id) is None
    step = db.session.scalars(select(DisconnectionStep).where(DisconnectionStep.name == "erase_tokens")).one()
    assert (step.outcome, step.attempts) == ("Done", 2)


def test_once_tokens_are_erased_not_even_a_twin_of_the_run_stores_one(both: World) -> None:
    both.connected()
    row = begin(both)
    disconnection_id, connection_id, epoch = row.id, row.connection_id, row.epoch
    db.session.rollback()
    for _ in range(2):
        erase.erase_tokens(Work(disconnection_id))
    with pytest.raises(Fenced), writing(connection_id, epoch, "disconnecting"):
        pass
    db.session.rollback()


def test_a_renewal_may_have_been_tried_as_soon_as_it_was_due(world: World) -> None:
    """Microsoft may ask for a fresh token long before the end; the answer to that renewal can have been lost."""
    world.connected()
    subscription = db.session.scalars(select(Subscription)).one()
    subscription.expires_at = clock.now() + timedelta(days=1, hours=12)
    subscription.renew_at = clock.now()
    db.session.commit()
    world.microsoft.breaks("drop", "all", times=None)
    row = begin(world)
    started_at = row.started_at
    disconnect.erase_now(row.id)
    body = account(world)
    world.microsoft.mend()
    assert datetime.fromisoformat(body["subscription_ends_at"]) == up_to_the_minute(started_at + LIFE)

"""The judge of the plays can say no: each bug planted here turns a play red, and the sentence it breaks is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.db import db, reads_only
from portal.models import Connection, Disconnection, Receipt
from portal.workflows import (
    connect,
    disconnect,
    end_notifications,
    epoch,
    erase,
    push,
    receipt,
    remove_our_meetings,
    subscribe,
    sync,
    tokens,
)
from portal.workflows.epoch import Fenced
from tests.race import theatre as stage
from tests.race.plays import ALL, PLAYS, Legs, run
from tests.race.theatre import Theatre
from tests.race.turns import switches

GUARDED = (connect, end_notifications, push, remove_our_meetings, subscribe, sync, tokens, epoch)
Patch = pytest.MonkeyPatch


def fence_removed(patch: Patch) -> None:
    """Confirming starts the run, but neither state nor epoch moves."""
    honest = disconnect.begin

    def begin(connection_id: str, member_id: str, **more: Any) -> Disconnection | None:
        before = db.session.get(Connection, connection_id)
        was = (before.state, before.epoch) if before else None
        db.session.rollback()
        row = honest(connection_id, member_id, **more)
        if was:
            moved = update(Connection).where(Connection.id == connection_id)
            db.session.execute(moved.values(state=was[0], epoch=was[1]))
            db.session.commit()
        return row

    patch.setattr(disconnect, "begin", begin)


def _guard(patch: Patch, *, lock: bool, check: bool) -> None:
    @contextmanager
    def writing(connection_id: str, epoch: int, *states: str) -> Iterator[Connection]:
        asked = select(Connection).where(Connection.id == connection_id).execution_options(populate_existing=True)
        if check:
            asked = asked.where(Connection.epoch == epoch, Connection.state.in_(states))
        connection = db.session.scalar(asked.with_for_update() if lock else asked)
        if connection is None:
            db.session.rollback()
            raise Fenced(connection_id)
        try:
            yield connection
            db.session.commit()
        except BaseException:
            db.session.rollback()
            raise

    for module in GUARDED:
        patch.setattr(module, "writing", writing)


def epoch_not_checked(patch: Patch) -> None:
    """The guard finds the connection, and does not ask whether it has moved on."""
    _guard(patch, lock=True, check=False)


def lock_removed(patch: Patch) -> None:
    """The guard looks, but does not hold the row: FOR UPDATE and BEGIN IMMEDIATE are gone."""
    _guard(patch, lock=False, check=True)
    honest = Theatre._on_stage

    def unlocked(self: Theatre, *args: Any) -> Any:
        with reads_only():
            return honest(self, *args)

    patch.setattr(Theatre, "_on_stage", unlocked)


def lease_ignored(patch: Patch) -> None:
    """Whoever needs a token refreshes, whoever else is at it."""
    patch.setattr(tokens, "LEASE", tokens.LEASE * 0)


def kept_outside_of_the_guard(patch: Patch) -> None:
    """A refresh stores what it won without asking whether it may."""

    def refresh(connection_id: str, _epoch: int, _states: Any, sealed: str | None, _lease: str) -> str:
        provider = tokens.provider_of(connection_id)
        won = provider.refresh(tokens.open_sealed(connection_id, tokens.REFRESH, sealed))
        connection = db.session.get(Connection, connection_id)
        if connection is not None:
            tokens.keep(connection, won)
        db.session.commit()
        return won.access_token

    patch.setattr(tokens, "_refresh", refresh)


def losers_keep_quiet(patch: Patch) -> None:
    """What a refresh wins after the fence is dropped, and told to nobody."""
    patch.setattr(tokens, "dispose", lambda *_: True)


def subscription_not_taken_back(patch: Patch) -> None:
    """A subscription that was made while the person confirmed stays at the vendor."""

    @contextmanager
    def nothing(*_: Any) -> Iterator[None]:
        held = stage.parts().providers[stage.OUTLOOK]
        honest, held.unsubscribe = held.unsubscribe, lambda *_: ""  # type: ignore[method-assign]
        try:
            yield
        finally:
            held.unsubscribe = honest  # type: ignore[method-assign]

    patch.setattr(subscribe, "suppress", nothing)


def meeting_not_taken_back(patch: Patch) -> None:
    """A meeting that was written while the person confirmed stays in their calendar, and nobody says so."""

    @contextmanager
    def nothing(*_: Any) -> Iterator[None]:
        held = stage.parts().providers[stage.OUTLOOK]
        honest, held.remove_event = held.remove_event, lambda *_: ""  # type: ignore[method-assign]
        try:
            yield
        finally:
            held.remove_event = honest  # type: ignore[method-assign]

    patch.setattr(push, "suppress", nothing)


def call_within_a_transaction(patch: Patch) -> None:
    """The vendor is called while a transaction is open: every other writer waits for the vendor."""
    honest = tokens.open_sealed

    def opened(connection_id: str, *args: Any) -> str:
        found = honest(connection_id, *args)
        db.session.get(Connection, connection_id)
        return found

    patch.setattr(tokens, "open_sealed", opened)


def receipt_written_anew(patch: Patch) -> None:
    """A second worker writes the receipt once more."""

    def close(disconnection_id: str) -> None:
        row = db.session.get_one(Disconnection, disconnection_id, populate_existing=True)
        row.finished_at = disconnect.clock.now()
        old = db.session.get(Receipt, disconnection_id)
        if old is not None:
            db.session.delete(old)
            db.session.flush()
        receipt.write(row, {step.name: (step.title, "again" * (old is not None)) for step in disconnect.STEPS})

    patch.setattr(disconnect, "_close", close)


def erasing_does_not_fence(patch: Patch) -> None:
    """A second worker may still store what it refreshed after the tokens were erased, under a new key."""
    honest = erase.update

    class _Nothing:
        def where(self, *_: Any) -> _Nothing:
            return self

        def values(self, **_: Any) -> Any:
            return honest(Connection).where(Connection.id == "nobody").values(epoch=0)

    patch.setattr(erase, "update", lambda _table: _Nothing())


# The bug; the play; where the first thread stops while the other one disconnects, and where that one stops in turn
# (nowhere: it plays to its end); the sentence that must be broken.
PLANTED: list[tuple[Callable[[Patch], None], str, str, str | int, str]] = [
    (fence_removed, "first sync", "first_changes: after", ALL, "nothing_is_written_after_the_fence"),
    (fence_removed, "refresh", "refresh: after", ALL, "won by refresh was stored after the fence"),
    (epoch_not_checked, "first sync", "calendars: after", "refresh: before", "nothing_is_written_after_the_fence"),
    (epoch_not_checked, "refresh", "refresh: after", "refresh: before", "won by refresh was stored after the fence"),
    (epoch_not_checked, "subscribe", "subscribe: after", "refresh: before", "nothing_is_written_after_the_fence"),
    (epoch_not_checked, "push", "write_event: after", "refresh: before", "nothing_is_written_after_the_fence"),
    (kept_outside_of_the_guard, "refresh", "refresh: after", "refresh: before", "was stored after the fence"),
    (losers_keep_quiet, "refresh, tokens can be revoked", "refresh: after", ALL, "access token lives at the vendor"),
    (subscription_not_taken_back, "subscribe", "subscribe: before", "refresh: before", "lives at the vendor until"),
    (meeting_not_taken_back, "push", "write_event: after", ALL, "meetings of ours at the vendor that we do not know"),
    (call_within_a_transaction, "refresh", "its end", ALL, "a transaction was open while"),
    (receipt_written_anew, "second worker", "tell_you", ALL, "receipts_never_change"),
    (erasing_does_not_fence, "second worker, thawed", "refresh: after", "erase_copies", "the key"),
]


@pytest.mark.parametrize(
    ("plant", "name", "stop", "then", "sentence"), PLANTED, ids=[f"{each[0].__name__}-{each[1]}" for each in PLANTED]
)
def test_a_planted_bug_turns_a_play_red(
    theatre: Theatre,
    monkeypatch: Patch,
    plant: Callable[[Patch], None],
    name: str,
    stop: str,
    then: str | int,
    sentence: str,
) -> None:
    one, other = PLAYS[name].first[0], PLAYS[name].second[0]
    # Where a step is named, it has begun there: its start is noted, its end is not.
    begun: Legs = ((one, 2),) if stop in disconnect.BY_NAME else ()
    legs: Legs = ((one, stop), *begun, (other, then), (one, ALL), (other, ALL))
    wrong, scene = run(theatre, PLAYS[name], switches(*legs))
    assert wrong == [], "without the bug the same order is green"
    plant(monkeypatch)
    wrong, scene = run(theatre, PLAYS[name], switches(*legs))
    assert any(sentence in line for line in wrong), "\n".join([*wrong, scene.turns.story()])


def test_a_removed_lock_turns_a_play_red(theatre: Theatre, monkeypatch: Patch) -> None:
    """PostgreSQL lets the late write through; SQLite refuses it by breaking the sync: red both ways.

    The subscription has been made and is about to be stored: the guard has looked, and its transaction is open.
    """
    theatre.inside, theatre.blocked_after = True, 1.0
    legs: Legs = (
        ("subscribe", "subscribe: after"),
        ("subscribe", "commit"),
        ("disconnect", "refresh: before"),
        ("subscribe", ALL),
        ("disconnect", ALL),
    )
    wrong, _ = run(theatre, PLAYS["subscribe"], switches(*legs))
    assert wrong == [], "with its lock the same order is green: the others wait"
    lock_removed(monkeypatch)
    wrong, scene = run(theatre, PLAYS["subscribe"], switches(*legs))
    late = any("nothing_is_written_after_the_fence: subscriptions" in line for line in wrong)
    assert late or any("subscribe broke: OperationalError" in line for line in wrong), f"{wrong}\n{scene.turns.story()}"


def test_an_ignored_lease_makes_a_second_call(theatre: Theatre, monkeypatch: Patch) -> None:
    legs: Legs = (("refresh", "refresh: after"), ("other", ALL), ("refresh", ALL))
    for expected in (1, 2):
        _, scene = run(theatre, PLAYS["two refreshes"], switches(*legs))
        assert [name for name, _ in scene.vendor.calls].count("refresh") == expected
        lease_ignored(monkeypatch)

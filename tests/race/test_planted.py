"""The judge of the plays can say no: each bug planted here turns a play red, and the sentence it breaks is named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from portal.db import db
from portal.models import Connection, Disconnection, Receipt
from portal.parts import parts
from portal.vault import Vault
from portal.workflows import carry_out, disconnect, erase, push, receipt, subscribe, tokens
from tests.bugs import Patch, epoch_alone_not_checked, epoch_not_checked, fence_removed, lock_removed
from tests.race.plays import PLAYS, run
from tests.race.schedules import ALL, Legs, switches
from tests.race.theatre import OUTLOOK, Theatre


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
    patch.setattr(tokens, "last_lapses_at", lambda _, token: token.lapses_at)  # else the lease tells of it


def subscription_not_taken_back(patch: Patch) -> None:
    """A subscription that was made while the person confirmed stays at the vendor."""

    @contextmanager
    def nothing(*_: Any) -> Iterator[None]:
        held = parts().providers[OUTLOOK]
        honest, held.unsubscribe = held.unsubscribe, lambda *_: ""  # type: ignore[method-assign]
        try:
            yield
        finally:
            held.unsubscribe = honest  # type: ignore[method-assign]

    patch.setattr(subscribe, "suppress", nothing)


def meeting_not_taken_back(patch: Patch) -> None:
    """A meeting that appeared when the disconnection had looked stays in their calendar, and nobody says so."""

    @contextmanager
    def nothing(*_: Any) -> Iterator[None]:
        held = parts().providers[OUTLOOK]
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
    """A second worker writes the receipt once more, and words it otherwise."""
    honest, honest_write = carry_out._close, receipt.write

    def close(disconnection_id: str) -> None:
        row = db.session.get_one(Disconnection, disconnection_id, populate_existing=True)
        old = db.session.get(Receipt, disconnection_id)
        row.finished_at = None
        if old is not None:
            db.session.delete(old)
        db.session.flush()
        honest(disconnection_id)

    def write(row: Disconnection, words: dict[str, tuple[str, str]], **more: Any) -> None:
        now = threading.current_thread().name
        honest_write(row, {name: (title, f"{told} ({now})") for name, (title, told) in words.items()}, **more)

    patch.setattr(carry_out, "_close", close)
    patch.setattr(receipt, "write", write)


def erasing_does_not_fence(patch: Patch) -> None:
    """A second worker may still store what it refreshed after the tokens were erased, under a new key.

    Its last step destroys that key, and what was stored is gone with the copies: it must not be stored at all.
    """
    honest = erase.update

    class _Nothing:
        def where(self, *_: Any) -> _Nothing:
            return self

        def values(self, **_: Any) -> Any:
            return honest(Connection).where(Connection.id == "nobody").values(epoch=0)

    patch.setattr(erase, "update", lambda _table: _Nothing())
    patch.setattr(Vault, "seal_also", Vault.seal)  # the second wall: a key that is gone is not made by being used


def used_keys_come_back(patch: Patch) -> None:
    """The guard does not ask for the epoch, and a key that is gone is made anew by whoever seals with it."""
    epoch_alone_not_checked(patch)
    patch.setattr(Vault, "seal_also", Vault.seal)


@dataclass(frozen=True)
class Planted:
    """A bug, the play it spoils, and the sentence that must be broken.

    `stop`: where the first thread stops while the other one disconnects; `then`: where that one stops in turn (ALL: it
    plays to its end). A bug with `short` is planted on both databases in the short version, the others on SQLite.
    """

    bug: Callable[[Patch], None]
    play: str
    stop: str
    then: str | int
    sentence: str
    short: bool = False


LATE = "nothing_is_written_after_the_fence"
STORED = "won by refresh was stored after the fence"
PLANTED = (
    Planted(fence_removed, "first sync", "first_changes: after", ALL, LATE, short=True),
    Planted(fence_removed, "refresh", "refresh: after", ALL, STORED),
    Planted(epoch_not_checked, "first sync", "calendars: after", "refresh: before", LATE),
    Planted(epoch_not_checked, "refresh", "refresh: after", "refresh: before", STORED, short=True),
    Planted(epoch_not_checked, "subscribe", "subscribe: after", "end_notifications", LATE),
    Planted(epoch_not_checked, "push", "write_event: after", "refresh: before", LATE),
    Planted(epoch_alone_not_checked, "reconnect during a refresh", "refresh: after", ALL, "place of the Reconnect's"),
    Planted(used_keys_come_back, "second worker, thawed", "refresh: after", "erase_copies", LATE),
    Planted(kept_outside_of_the_guard, "refresh", "refresh: after", "refresh: before", STORED),
    Planted(losers_keep_quiet, "refresh, tokens can be revoked", "refresh: after", ALL, "access token lives at"),
    Planted(subscription_not_taken_back, "subscribe", "subscribe: before", "refresh: before", "lives at the vendor"),
    Planted(meeting_not_taken_back, "push", "write_event: before", ALL, "meetings of ours at the vendor"),
    Planted(call_within_a_transaction, "refresh", "its end", ALL, "a transaction was open while"),
    Planted(receipt_written_anew, "second worker", "tell_you", ALL, "receipts_never_change"),
    Planted(erasing_does_not_fence, "second worker, thawed", "refresh: after", "erase_copies", LATE),
)


def _cases() -> Iterator[Any]:
    for planted in PLANTED:
        for database in ("sqlite", "postgresql"):
            marks = [] if planted.short or database == "sqlite" else [pytest.mark.long]
            yield pytest.param(database, planted, id=f"{database}-{planted.bug.__name__}-{planted.play}", marks=marks)


@pytest.mark.parametrize(("theatre", "planted"), list(_cases()), indirect=["theatre"])
def test_a_planted_bug_turns_a_play_red(theatre: Theatre, monkeypatch: Patch, planted: Planted) -> None:
    play = PLAYS[planted.play]
    one, other = play.first[0], play.second[0]
    # Where a step is named, it has begun there: its start is noted, its end is not.
    begun: Legs = ((one, 2),) if planted.stop in disconnect.BY_NAME else ()
    legs: Legs = ((one, planted.stop), *begun, (other, planted.then), (one, ALL), (other, ALL))
    wrong, _ = run(theatre, play, switches(*legs))
    assert wrong == [], "without the bug the same order is green"
    planted.bug(monkeypatch)
    wrong, scene = run(theatre, play, switches(*legs))
    assert any(planted.sentence in line for line in wrong), "\n".join([*wrong, scene.turns.story()])


def test_a_removed_lock_turns_a_play_red(theatre: Theatre, monkeypatch: Patch) -> None:
    """PostgreSQL lets the late write through; SQLite refuses it by breaking the refresh: red both ways.

    Microsoft has answered the refresh, and its tokens are about to be stored: the guard has looked, and its
    transaction is open.
    """
    theatre.inside = True
    legs: Legs = (
        ("refresh", "refresh: after"),
        ("refresh", "commit"),
        ("disconnect", "refresh: before"),
        ("refresh", ALL),
        ("disconnect", ALL),
    )
    wrong, _ = run(theatre, PLAYS["refresh"], switches(*legs))
    assert wrong == [], "with its lock the same order is green: the others wait"
    monkeypatch.setattr(tokens, "LEASE", timedelta(seconds=1))  # of the refresh that breaks: it is waited for
    lock_removed(monkeypatch)
    wrong, scene = run(theatre, PLAYS["refresh"], switches(*legs))
    late = any(STORED in line for line in wrong)
    assert late or any("refresh broke: OperationalError" in line for line in wrong), f"{wrong}\n{scene.turns.story()}"


def test_an_ignored_lease_makes_a_second_call(theatre: Theatre, monkeypatch: Patch) -> None:
    legs: Legs = (("refresh", "refresh: after"), ("other", ALL), ("refresh", ALL))
    for expected in (1, 2):
        _, scene = run(theatre, PLAYS["two refreshes"], switches(*legs))
        assert [name for name, _ in scene.vendor.calls].count("refresh") == expected
        lease_ignored(monkeypatch)

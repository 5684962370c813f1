"""No key is found where one must have been: nothing says that it was destroyed, until it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Disconnection, Token
from portal.parts import parts
from portal.vault import KeysAway
from portal.workflows import carry_out, disconnect, erase
from portal.workflows.watch import watch
from tests.outage import another_one, away, impatient
from tests.workflows.test_keys_away import seen, steps
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

NOT_YET = "The key to your tokens has not turned up. We look every night, and destroy it if it does."
MADE_UP = "we made up for it: the key to your tokens is destroyed"


class Killed(BaseException):
    """The process was killed here."""


def begin(world: World) -> tuple[str, str]:
    """Ids of the connection, and of its disconnection."""
    connection = world.connection()
    connection_id = connection.id
    row = disconnect.begin(connection_id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    return connection_id, disconnection_id


def test_it_works(both: World) -> None:
    alice = both.connected()
    sealed = db.session.scalars(select(Token.access_sealed)).one()
    with another_one():
        connection_id, disconnection_id = begin(both)
        both.work()
        ended, page = steps(both), f"/disconnections/{disconnection_id}"
        for name in ("erase_tokens", "prove_nothing_remains"):
            assert ended[name]["outcome"] == "Failed"
            assert "We found no key to" in ended[name]["detail"]
            assert "was destroyed and" not in ended[name]["detail"]
            assert "rewritten" not in ended[name]["detail"]
        assert erase.remains(connection_id) == []
        assert both.disconnection().keys_rewritten_at is None
        for _ in range(2):
            assert watch()["rewritten"] == 0
            assert NOT_YET in seen(alice, page)
    assert parts().vault.open(connection_id, "access_token", sealed), "what a back-up holds can be opened again"
    found = watch()
    assert (found["keys"], found["rewritten"]) == (1, 1)
    assert not parts().vault.has_key(connection_id)
    assert MADE_UP in seen(alice, page)
    assert NOT_YET not in seen(alice, page)
    assert watch() == {"rows": 0, "keys": 0, "runs": 0, "rewritten": 0}


def test_a_kill_between_destroying_and_noting_hides_nothing(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = both.connected()
    _, disconnection_id = begin(both)
    dies(monkeypatch, lambda: carry_out.attempt("erase_tokens", disconnection_id))
    both.work()
    ended = steps(both)
    assert ended["erase_tokens"]["outcome"] == ended["prove_nothing_remains"]["outcome"] == "Done"
    assert ended["erase_tokens"]["detail"] == "Your tokens were deleted; the key that opened them is gone."
    assert both.disconnection().keys_rewritten_at is not None
    assert NOT_YET not in seen(alice, f"/disconnections/{disconnection_id}")


def test_one_that_went_away_under_our_hands_was_not_destroyed(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was seen, and then the key database was away; what answers next is another one."""
    both.connected()
    impatient(both, monkeypatch)
    _, disconnection_id = begin(both)

    def goes_away(_owner: str) -> bool:
        raise KeysAway

    with monkeypatch.context() as once:
        once.setattr(parts().vault, "destroy", goes_away)
        assert carry_out.attempt("erase_tokens", disconnection_id) is not None
    with another_one():
        both.work()
    assert steps(both)["erase_tokens"]["outcome"] == "Failed"
    assert "another database of our keys answers" in steps(both)["erase_tokens"]["detail"]
    assert (watch()["keys"], watch()["rewritten"]) == (1, 0), "the second night has nothing to do"
    assert both.disconnection().was_proven_late()


def test_a_kill_before_destroying_and_another_one_afterwards_is_not_taken_for_destroyed(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host died between the look and the deed, and came back with an empty key database."""
    alice = both.connected()
    sealed = db.session.scalars(select(Token.access_sealed)).one()
    connection_id, disconnection_id = begin(both)
    dies(monkeypatch, lambda: carry_out.attempt("erase_tokens", disconnection_id), destroying=False)
    page = f"/disconnections/{disconnection_id}"
    with another_one():
        both.work()
        ended = steps(both)
        assert {ended[name]["outcome"] for name in ("erase_tokens", "prove_nothing_remains")} == {"Failed"}
        for name in ("erase_tokens", "prove_nothing_remains"):
            assert "another database of our keys answers" in ended[name]["detail"]
            assert "We found no key" not in ended[name]["detail"]
        assert watch()["rewritten"] == 0
        assert both.disconnection().keys_rewritten_at is None
        assert MADE_UP not in seen(alice, page)
    assert parts().vault.open(connection_id, "access_token", sealed), "it was there all the time"
    assert (found := watch())["keys"] == found["rewritten"] == 1
    assert MADE_UP in seen(alice, page)


def test_another_one_after_destroying_proves_nothing_about_the_first(both: World) -> None:
    """The key was destroyed; the files that it was in were not there to be looked into and rewritten."""
    alice = both.connected()
    _, disconnection_id = begin(both)
    assert carry_out.attempt("erase_tokens", disconnection_id) is None
    page = f"/disconnections/{disconnection_id}"
    with another_one():
        both.work()
        ended = steps(both)
        assert (ended["erase_tokens"]["outcome"], ended["prove_nothing_remains"]["outcome"]) == ("Done", "Failed")
        assert watch()["rewritten"] == 0
        assert "The database of our keys is still to be rewritten" in seen(alice, page)
    assert watch()["rewritten"] == 1
    assert MADE_UP in seen(alice, page)


def test_an_answer_lost_while_the_key_was_destroyed_hides_nothing(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deletion went through, and the connection broke before we were told."""
    both.connected()
    _, disconnection_id = begin(both)
    vault = parts().vault
    destroy = vault.destroy

    def is_cut_off(owner: str) -> bool:
        destroy(owner)
        raise KeysAway

    with monkeypatch.context() as once:
        once.setattr(vault, "destroy", is_cut_off)
        assert carry_out.attempt("erase_tokens", disconnection_id) is not None
    both.work()
    ended = steps(both)
    assert ended["erase_tokens"]["outcome"] == ended["prove_nothing_remains"]["outcome"] == "Done"
    assert ended["erase_tokens"]["detail"] == "Your tokens were deleted; the key that opened them is gone."


def test_one_that_comes_back_while_another_is_rewritten_is_not_taken_for_clean(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty one answers; while that is rewritten, the true one, which still holds the key, is mounted again."""
    both.connected()
    connection_id, disconnection_id = begin(both)
    dies(monkeypatch, lambda: carry_out.attempt("erase_tokens", disconnection_id), destroying=False)
    vault = parts().vault
    rewrite = vault.scour
    with ExitStack() as meanwhile:
        meanwhile.enter_context(another_one())
        for name in ("erase_tokens", "erase_copies"):
            assert carry_out.attempt(name, disconnection_id) is None

        def is_mounted() -> bool:
            clean = rewrite()
            meanwhile.close()
            return clean

        with monkeypatch.context() as once:
            once.setattr(vault, "scour", is_mounted)
            assert carry_out.attempt("prove_nothing_remains", disconnection_id) is None
    assert vault.has_key(connection_id)
    assert both.disconnection().keys_rewritten_at is None
    both.work()
    for name in ("erase_tokens", "prove_nothing_remains"):
        assert steps(both)[name]["outcome"] == "Failed"
        assert "another database of our keys answers" in steps(both)[name]["detail"]
    assert (found := watch())["keys"] == found["rewritten"] == 1


def test_one_that_turns_up_in_time_is_destroyed_at_once(both: World) -> None:
    alice = both.connected()
    connection_id, disconnection_id = begin(both)
    with another_one():
        assert carry_out.attempt("erase_tokens", disconnection_id) is None
    both.work()
    assert not parts().vault.has_key(connection_id)
    ended = steps(both)
    assert "We found no key to them" in ended["erase_tokens"]["detail"]
    assert ended["prove_nothing_remains"]["outcome"] == "Done"
    assert "the key was there after all, and was destroyed" in ended["prove_nothing_remains"]["detail"]
    page = seen(alice, f"/disconnections/{disconnection_id}")
    assert NOT_YET not in page
    assert "still to be rewritten" not in page


def test_another_one_makes_up_for_nothing(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key database is away while somebody disconnects; at night an empty one answers."""
    alice = both.connected()
    impatient(both, monkeypatch)
    _, disconnection_id = begin(both)
    with away():
        both.work()
    page = f"/disconnections/{disconnection_id}"
    with another_one():
        assert watch()["rewritten"] == 0
        assert NOT_YET in seen(alice, page)
        assert MADE_UP not in seen(alice, page)
    assert (found := watch())["keys"] == found["rewritten"] == 1
    assert MADE_UP in seen(alice, page)


def test_a_watch_that_is_killed_after_destroying_makes_up_for_it_the_next_night(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    both.connected()
    with another_one():
        _, disconnection_id = begin(both)
        both.work()
    dies(monkeypatch, watch)
    assert watch()["rewritten"] == 1
    assert db.session.get_one(Disconnection, disconnection_id).was_proven_late()


def dies(monkeypatch: pytest.MonkeyPatch, work: Callable[[], object], *, destroying: bool = True) -> None:
    """The key is destroyed (or not yet), and nobody lives to write it down."""
    vault = parts().vault
    destroy = vault.destroy

    def then_dies(owner: str) -> bool:
        if destroying:
            destroy(owner)
        raise Killed

    with monkeypatch.context() as once:
        once.setattr(vault, "destroy", then_dies)
        with pytest.raises(Killed):
            work()
    db.session.rollback()

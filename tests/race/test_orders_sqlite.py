"""Two threads at once, in many orders, on SQLite: whatever was in flight at the click writes nothing after it."""

from __future__ import annotations

import pytest

from tests.race.plays import PLAYS, chance_orders, every_order
from tests.race.theatre import Theatre


@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_any_order(on_sqlite: Theatre, name: str) -> None:
    assert every_order(on_sqlite, name, limit=6) == 6


@pytest.mark.parametrize("name", ["first sync", "refresh", "reconnect comes back", "second worker, old token"])
def test_nothing_goes_wrong_when_others_wait_for_a_lock(on_sqlite: Theatre, name: str) -> None:
    """With points inside transactions: a thread stops while it holds its locks, and the others run into them."""
    on_sqlite.inside = True
    try:
        assert chance_orders(on_sqlite, name, range(3)) == 3
    finally:
        on_sqlite.inside = False


@pytest.mark.long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_far_more_orders(on_sqlite: Theatre, name: str) -> None:
    assert every_order(on_sqlite, name, limit=60) >= 20
    assert chance_orders(on_sqlite, name, range(100, 120)) == 20


@pytest.mark.long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_far_more_orders_with_locks(on_sqlite: Theatre, name: str) -> None:
    on_sqlite.inside = True
    try:
        assert chance_orders(on_sqlite, name, range(200, 210)) == 10
    finally:
        on_sqlite.inside = False

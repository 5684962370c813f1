"""Two threads at once, in many orders, on PostgreSQL: whatever was in flight at the click writes nothing after it."""

from __future__ import annotations

import pytest

from tests.race.plays import PLAYS, chance_orders, every_order
from tests.race.theatre import Theatre


@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_any_order(on_postgresql: Theatre, name: str) -> None:
    assert every_order(on_postgresql, name, limit=6) == 6


@pytest.mark.parametrize("name", ["first sync", "refresh", "reconnect comes back", "second worker, old token"])
def test_nothing_goes_wrong_when_others_wait_for_a_lock(on_postgresql: Theatre, name: str) -> None:
    """With points inside transactions: a thread stops while it holds its locks, and the others run into them."""
    on_postgresql.inside = True
    try:
        assert chance_orders(on_postgresql, name, range(3)) == 3
    finally:
        on_postgresql.inside = False


@pytest.mark.long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_far_more_orders(on_postgresql: Theatre, name: str) -> None:
    assert every_order(on_postgresql, name, limit=60) >= 20
    assert chance_orders(on_postgresql, name, range(100, 120)) == 20


@pytest.mark.long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_far_more_orders_with_locks(on_postgresql: Theatre, name: str) -> None:
    on_postgresql.inside = True
    try:
        assert chance_orders(on_postgresql, name, range(200, 210)) == 10
    finally:
        on_postgresql.inside = False

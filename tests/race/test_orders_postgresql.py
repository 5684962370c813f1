"""Two threads at once, in many orders, on PostgreSQL: whatever was in flight at the click writes nothing after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.race.orders import FEW, MANY, SHORT, play_in_different_orders
from tests.race.plays import PLAYS
from tests.race.theatre import Theatre


@pytest.mark.parametrize("name", SHORT["postgresql"])
def test_nothing_goes_wrong_in_any_order(
    on_postgresql: Theatre, name: str, record_property: Callable[..., None]
) -> None:
    played = play_in_different_orders(on_postgresql, name, wanted=FEW)
    record_property("orders", played)
    assert played >= FEW


@pytest.mark.long
@pytest.mark.parametrize("name", PLAYS)
def test_nothing_goes_wrong_in_far_more_orders(
    on_postgresql: Theatre, name: str, record_property: Callable[..., None]
) -> None:
    """At least 2,000 different ones on this database, since each play has to come to its share."""
    played = play_in_different_orders(on_postgresql, name, wanted=MANY)
    record_property("orders", played)
    assert played >= MANY

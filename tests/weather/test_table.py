"""The table itself: every call under every weather, each cell readable, and nothing in it that nobody runs."""

from __future__ import annotations

import pytest

from tests.weather.expected import BELIEVED, CALLS, DEFINITE, HARMLESS, PASSING, fair, lasting, passing, read_cell
from tests.weather.weathers import ORDERS, TARGETS


def test_every_call_stands_under_every_weather() -> None:
    assert set(lasting()) == {(call, weather) for call in CALLS for weather in ORDERS}
    assert set(CALLS) == set(TARGETS)
    assert len(ORDERS) == 22


def test_exceptions_name_cells_that_exist() -> None:
    for cells in (set(PASSING), BELIEVED, DEFINITE, HARMLESS):
        assert cells <= set(lasting())


def test_what_ends_otherwise_in_passing_weather_was_a_definite_answer() -> None:
    different = {cell for cell, expected in passing().items() if expected != read_cell(fair(cell[0]))}
    assert different <= DEFINITE


@pytest.mark.parametrize("cell", ["DDYX", "DDYX / 0", "DDYZ / 0 0", "DDYX / 0 m", "DDYX / 0 0 n", ""])
def test_a_misspelt_cell_is_an_error(cell: str) -> None:
    with pytest.raises(ValueError, match="not a cell"):
        read_cell(cell)

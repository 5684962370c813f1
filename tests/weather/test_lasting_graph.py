"""Weather at Graph that lasts until the deadline, on SQLite: every cell of the table."""

from __future__ import annotations

import pytest

from tests.weather.cell import Place, run
from tests.weather.expected import Expected, lasting

CALLS = ("list", "delete", "find", "look", "remove")


@pytest.mark.parametrize(
    ("call", "weather", "expected"),
    [pytest.param(*cell, expected, id="-".join(cell)) for cell, expected in lasting().items() if cell[0] in CALLS],
)
def test_it_ends_as_the_table_says(on_sqlite: Place, call: str, weather: str, expected: Expected) -> None:
    run(on_sqlite, call, weather, expected, lasting=True)

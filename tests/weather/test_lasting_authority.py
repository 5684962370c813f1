"""Weather at the authority that lasts until the deadline, on SQLite: every fourth cell; all with `long`."""

from __future__ import annotations

import pytest

from tests.weather.cell import Place, run
from tests.weather.expected import Expected, lasting

CALLS = ("discovery", "refresh", "probe", "probe_again")
CELLS = {cell: expected for cell, expected in lasting().items() if cell[0] in CALLS}
WEATHERS = list(dict.fromkeys(weather for _, weather in CELLS))
SPREAD = {cell for cell in CELLS if (CALLS.index(cell[0]) + WEATHERS.index(cell[1])) % 4 == 0}


@pytest.mark.parametrize(
    ("call", "weather", "expected"),
    [
        pytest.param(*cell, expected, id="-".join(cell), marks=[] if cell in SPREAD else pytest.mark.long)
        for cell, expected in CELLS.items()
    ],
)
def test_it_ends_as_the_table_says(on_sqlite: Place, call: str, weather: str, expected: Expected) -> None:
    run(on_sqlite, call, weather, expected, lasting=True)

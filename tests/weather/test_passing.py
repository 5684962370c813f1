"""Weather that meets one call and is over: a spread of cells on SQLite; all of them with `long`."""

from __future__ import annotations

import pytest

from tests.weather.cell import Place, run
from tests.weather.expected import CALLS, Expected, passing

WEATHERS = list(dict.fromkeys(weather for _, weather in passing()))
SPREAD = {(list(CALLS)[(at + 3) % len(CALLS)], weather) for at, weather in enumerate(WEATHERS)}
CELLS = passing().items()


@pytest.mark.parametrize(
    ("call", "weather", "expected"),
    [
        pytest.param(*cell, expected, id="-".join(cell), marks=[] if cell in SPREAD else pytest.mark.long)
        for cell, expected in CELLS
    ],
)
def test_it_ends_as_in_fair_weather(on_sqlite: Place, call: str, weather: str, expected: Expected) -> None:
    run(on_sqlite, call, weather, expected, lasting=False)

"""Weather that lasts until the deadline, on PostgreSQL: a spread of cells, each weather once; all with `long`."""

from __future__ import annotations

import pytest

from tests.weather.cell import Place, run
from tests.weather.expected import CALLS, Expected, lasting

WEATHERS = list(dict.fromkeys(weather for _, weather in lasting()))
SPREAD = {(list(CALLS)[at % len(CALLS)], weather) for at, weather in enumerate(WEATHERS)}
SPREAD |= {("delete", "not json"), ("probe_again", "503"), ("look", "wrong json")}  # each was wrong once


@pytest.mark.parametrize(
    ("call", "weather", "expected"),
    [
        pytest.param(*cell, expected, id="-".join(cell), marks=[] if cell in SPREAD else pytest.mark.long)
        for cell, expected in lasting().items()
    ],
)
def test_it_ends_as_the_table_says(on_postgresql: Place, call: str, weather: str, expected: Expected) -> None:
    run(on_postgresql, call, weather, expected, lasting=True)

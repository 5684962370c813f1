"""Weather that meets one call and is over, on PostgreSQL: every cell."""

from __future__ import annotations

import pytest

from tests.weather.cell import Place, run
from tests.weather.expected import Expected, passing


@pytest.mark.long
@pytest.mark.parametrize(
    ("call", "weather", "expected"),
    [pytest.param(*cell, expected, id="-".join(cell)) for cell, expected in passing().items()],
)
def test_it_ends_as_in_fair_weather(on_postgresql: Place, call: str, weather: str, expected: Expected) -> None:
    run(on_postgresql, call, weather, expected, lasting=False)

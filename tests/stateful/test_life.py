"""Anything in any order, with restarts in between, on both databases: what must always hold, holds after each step."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.stateful.life import Life
from tests.stateful.living import live

SHORT = settings(
    max_examples=8,
    stateful_step_count=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
LONG = settings(SHORT, max_examples=80, stateful_step_count=50)


@pytest.mark.postgresql_is_long
def test_it_works(life: type[Life]) -> None:
    live(life, SHORT)
    assert life.finished >= 3, "too little happened in these lives to prove anything"


@pytest.mark.long
def test_it_works_for_longer(life: type[Life]) -> None:
    live(life, LONG)

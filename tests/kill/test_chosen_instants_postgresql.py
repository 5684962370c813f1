"""The same instants on PostgreSQL, in a file of its own so that it can run beside the other."""

from __future__ import annotations

import pytest

from tests.kill.conftest import BuildTown
from tests.kill.test_chosen_instants import HALF, INSTANTS, web_and_workers


def test_web_and_two_workers_at_the_other_half_of_the_instants(build: BuildTown) -> None:
    web_and_workers(build("postgresql"), [each for each in INSTANTS if each not in HALF], workers=2)


@pytest.mark.long
def test_web_and_two_workers(build: BuildTown) -> None:
    web_and_workers(build("postgresql"), INSTANTS, workers=2)

"""The same instants on PostgreSQL, in a file of its own so that it can run beside the other."""

from __future__ import annotations

from tests.kill.conftest import BuildTown
from tests.kill.test_chosen_instants import INSTANTS, web_and_workers


def test_web_and_two_workers(build: BuildTown) -> None:
    web_and_workers(build("postgresql"), INSTANTS, workers=2)

"""Let Hypothesis play lives of a machine whose threads are real."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.life import Life

BEGINNINGS = 5


def live(machine: type[Life], how: settings) -> None:
    """Play lives; what is found wrong is raised.

    Hypothesis gives up a whole run when the same draws lead to another number of points at which a confirmation may
    fall, as real threads may have it. That says nothing of the product: such a run begins anew, a few times.
    """
    for _ in range(BEGINNINGS - 1):
        try:
            run_state_machine_as_test(machine, settings=how)
        except FlakyStrategyDefinition:
            continue
        return
    run_state_machine_as_test(machine, settings=how)

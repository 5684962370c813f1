"""Orders in which threads may move: by legs, or by (seeded) chance."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tests.race.turns import Schedule

ALL = 10_000  # more points than any actor has
Legs = tuple[tuple[str, int | str], ...]


def switches(*legs: tuple[str, int | str]) -> Schedule:
    """In each leg one actor passes so many points, or moves until it is about to pass a point with this label.

    Afterwards everybody ends, in the order of the legs.
    """
    left = list(legs)
    names = list(dict.fromkeys(name for name, _ in legs))

    def choose(waiting: dict[str, str]) -> str:
        while left:
            name, until = left[0]
            over = waiting.get(name) == until if isinstance(until, str) else until <= 0
            if name not in waiting or over:
                left.pop(0)
                continue
            if isinstance(until, int):
                left[0] = (name, until - 1)
            return name
        return next(name for name in (*names, *waiting) if name in waiting)

    return choose


def by_chance(seed: int, *, stay: float = 0.7) -> Schedule:
    """Anybody may move next; whoever has just moved is the more likely one, so that plays differ in length of turns."""
    dice = random.Random(seed)
    last = [""]

    def choose(waiting: dict[str, str]) -> str:
        names: Sequence[str] = sorted(waiting)
        if last[0] not in names or dice.random() > stay:
            last[0] = dice.choice(names)
        return last[0]

    return choose

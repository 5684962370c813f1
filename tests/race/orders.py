"""In which orders a play is played: systematically at every point of either part, and by (seeded) chance with locks."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator

from tests.race.plays import PLAYS, Play, run
from tests.race.schedules import ALL, Legs, by_chance, switches
from tests.race.theatre import Scene, Theatre
from tests.race.turns import Schedule

Order = tuple[tuple[str, str], ...]
"""Who passed which point, as it was played: two schedules that come to the same count once."""

SHORT = {"postgresql": tuple(PLAYS)[::2], "sqlite": tuple(PLAYS)[1::2]}
"""Which plays are played on which database by the short version: each on one of them."""
FEW = 3
ALL_TOGETHER = 2_000
MANY = -(-ALL_TOGETHER // len(PLAYS))
"""Different orders of each play, in the short and the long version; `ALL_TOGETHER` is for each database."""


def play_in_different_orders(theatre: Theatre, name: str, *, wanted: int) -> int:
    """Play one play until so many different orders were seen. Fails with the story of the first that went wrong.

    Half of them change turns up to three times, between transactions and calls. The others are left to chance, most
    with points inside transactions too: a thread stops while it holds its locks, and the others run into them.
    """
    play, played = PLAYS[name], set[Order]()

    def once(schedule: Schedule, told: object, *, inside: bool = False) -> Scene:
        theatre.inside = inside
        wrong, scene = run(theatre, play, schedule)
        theatre.inside = False
        assert not wrong, f"{name}, {told}:\n" + "\n".join(wrong) + "\n" + scene.turns.story()
        played.add(tuple(scene.turns.order))
        return scene

    lengths = dict[str, int]()
    for legs in one_after_the_other(play):
        scene = once(switches(*legs), legs)
        lengths |= {each.name: max(lengths.get(each.name, 0), len(each.passed)) for each in scene.turns.actors.values()}
    for legs in sample(play, lengths, wanted // 2):
        once(switches(*legs), legs)
    for seed in range(4 * wanted):
        if len(played) >= wanted:
            break
        once(by_chance(seed), f"chance {seed}", inside=seed % 3 < 2)
    return len(played)


def one_after_the_other(play: Play) -> tuple[Legs, Legs]:
    """The two orders in which nobody interrupts anybody: rehearsals, from which the others follow."""
    (one, _), (other, _) = play.first, play.second
    return ((one, ALL), (other, ALL)), ((other, ALL), (one, ALL))


def sample(play: Play, lengths: dict[str, int], limit: int) -> list[Legs]:
    """Orders with up to three changes of turn, at every point of either part: all of them, or a fair sample."""
    found = list(_changes(play.first[0], play.second[0], lengths))
    if len(found) <= limit:
        return found
    dice = random.Random(zlib.crc32(f"{play.first[0]} {play.second[0]} {play.before.__name__}".encode()))
    return dice.sample(found, limit)


def _changes(one: str, other: str, lengths: dict[str, int]) -> Iterator[Legs]:
    for first, second in ((one, other), (other, one)):
        for at in range(1, lengths[first]):
            yield ((first, at), (second, ALL), (first, ALL))
            for until in range(1, lengths[second]):
                yield ((first, at), (second, until), (first, ALL), (second, ALL))

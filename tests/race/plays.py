"""Which parts are played together, and in which orders."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from portal.workflows import tokens
from tests.race import theatre as stage
from tests.race.theatre import Scene, Theatre
from tests.race.turns import Schedule, by_chance, switches

Part = Callable[[Scene], Any]
Legs = tuple[tuple[str, int | str], ...]
ALL = 10_000  # more points than any actor has


@dataclass(frozen=True)
class Play:
    """Two parts at once. `before` sets the scene; `frozen` threads stand still for longer than they hold a lease."""

    before: Part
    first: tuple[str, Part]
    second: tuple[str, Part]
    synced: bool = True
    revokes: bool = False
    frozen: bool = False


SEVER = ("disconnect", stage.disconnecting)

PLAYS = {
    "sync": Play(stage.as_it_is, ("sync", stage.syncing), SEVER),
    "first sync": Play(stage.as_it_is, ("sync", stage.syncing), SEVER, synced=False),
    "sync with an old token": Play(stage.token_is_old, ("sync", stage.syncing), SEVER),
    "refresh": Play(stage.token_is_old, ("refresh", stage.refreshing), SEVER),
    "refresh, tokens can be revoked": Play(stage.token_is_old, ("refresh", stage.refreshing), SEVER, revokes=True),
    "subscribe": Play(stage.nothing_subscribed, ("subscribe", stage.subscribing), SEVER),
    "renew": Play(stage.subscription_ages, ("renew", stage.renewing), SEVER),
    "notification": Play(stage.as_it_is, ("webhook", stage.notified), SEVER),
    "removed by the vendor": Play(stage.as_it_is, ("webhook", stage.unsubscribed), SEVER),
    "push": Play(stage.as_it_is, ("push", stage.pushing), SEVER),
    "reconnect comes back": Play(stage.left_to_reconnect, ("callback", stage.coming_back), SEVER),
    "connect comes back": Play(stage.left_to_connect, ("callback", stage.coming_back), SEVER),
    "reconnect leaves": Play(stage.as_it_is, ("leave", stage.leaving), SEVER),
    "second click": Play(stage.as_it_is, ("second", stage.disconnecting), SEVER),
    "second worker": Play(stage.already_fenced, ("twin", stage.twin), SEVER),
    "second worker, old token": Play(stage.fenced_with_an_old_token, ("twin", stage.twin), SEVER),
    "second worker, thawed": Play(stage.fenced_with_an_old_token, ("twin", stage.twin), SEVER, frozen=True),
    "erase now": Play(stage.already_fenced, ("hurry", stage.hurrying), SEVER),
    "reconnect during a sync": Play(stage.left_to_reconnect, ("sync", stage.syncing), ("callback", stage.coming_back)),
    "reconnect during a refresh": Play(
        stage.left_with_an_old_token, ("refresh", stage.refreshing), ("callback", stage.coming_back)
    ),
    "two refreshes": Play(stage.token_is_old, ("refresh", stage.refreshing), ("other", stage.refreshing)),
    "two syncs": Play(stage.as_it_is, ("sync", stage.syncing), ("other", stage.syncing), synced=False),
    "two sign-ins": Play(stage.left_twice, ("callback", stage.coming_back), ("other", stage.coming_back_too)),
}


def run(theatre: Theatre, play: Play, schedule: Schedule) -> tuple[list[str], Scene]:
    """One play in one order; everything that is wrong afterwards."""
    with (
        pytest.MonkeyPatch.context() as patch,
        theatre.scene(schedule, revokes=play.revokes, synced=play.synced) as scene,
    ):
        if play.frozen:
            patch.setattr(tokens, "LEASE", timedelta(0))
        play.before(scene)
        theatre.play(scene, dict((play.first, play.second)))
        return theatre.judge(scene), scene


def orders(theatre: Theatre, play: Play, *, limit: int) -> list[Legs]:
    """Orders with up to three changes of turn, at every point of either part: all of them, or a fair sample."""
    (one, _), (other, _) = play.first, play.second
    lengths = {}
    for legs in (((one, ALL), (other, ALL)), ((other, ALL), (one, ALL))):
        _, scene = run(theatre, play, switches(*legs))
        for name, actor in scene.turns.actors.items():
            lengths[name] = max(lengths.get(name, 0), len(actor.passed))
    found: list[Legs] = []
    found += [((one, at), (other, ALL), (one, ALL)) for at in range(lengths[one])]
    found += [((other, at), (one, ALL), (other, ALL)) for at in range(lengths[other])]
    found += [
        ((one, at), (other, until), (one, ALL), (other, ALL))
        for at in range(1, lengths[one])
        for until in range(1, lengths[other])
    ]
    found += [
        ((other, at), (one, until), (other, ALL), (one, ALL))
        for at in range(1, lengths[other])
        for until in range(1, lengths[one])
    ]
    if len(found) <= limit:
        return found
    dice = random.Random(zlib.crc32(f"{one} {other} {play.before.__name__}".encode()))
    return dice.sample(found, limit)


def every_order(theatre: Theatre, name: str, *, limit: int) -> int:
    """Play one play in many orders; fails with the story of the first that went wrong. Returns how many."""
    play = PLAYS[name]
    chosen = orders(theatre, play, limit=limit)
    for legs in chosen:
        wrong, scene = run(theatre, play, switches(*legs))
        assert not wrong, f"{name}, {legs}:\n" + "\n".join(wrong) + "\n" + scene.turns.story()
    return len(chosen)


def chance_orders(theatre: Theatre, name: str, seeds: range) -> int:
    """The same in orders left to (seeded) chance."""
    for seed in seeds:
        wrong, scene = run(theatre, PLAYS[name], by_chance(seed))
        assert not wrong, f"{name}, seed {seed}:\n" + "\n".join(wrong) + "\n" + scene.turns.story()
    return len(seeds)

"""Which parts are played together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from portal.workflows import tokens
from tests.race import roles, scenery
from tests.race.theatre import Scene, Theatre
from tests.race.turns import Schedule

Part = Callable[[Scene], Any]


@dataclass(frozen=True)
class Play:
    """Two parts at once. `before` sets the scene; `frozen` threads stand still for longer than they hold a lease."""

    before: Part
    first: tuple[str, Part]
    second: tuple[str, Part]
    synced: bool = True
    revokes: bool = False
    frozen: bool = False


SEVER = ("disconnect", roles.disconnecting)

PLAYS = {
    "sync": Play(scenery.as_it_is, ("sync", roles.syncing), SEVER),
    "first sync": Play(scenery.as_it_is, ("sync", roles.syncing), SEVER, synced=False),
    "sync with an old token": Play(scenery.token_is_old, ("sync", roles.syncing), SEVER),
    "refresh": Play(scenery.token_is_old, ("refresh", roles.refreshing), SEVER),
    "refresh, tokens can be revoked": Play(scenery.token_is_old, ("refresh", roles.refreshing), SEVER, revokes=True),
    "subscribe": Play(scenery.nothing_subscribed, ("subscribe", roles.subscribing), SEVER),
    "renew": Play(scenery.subscription_ages, ("renew", roles.renewing), SEVER),
    "notification": Play(scenery.as_it_is, ("webhook", roles.notified), SEVER),
    "removed by the vendor": Play(scenery.as_it_is, ("webhook", roles.unsubscribed), SEVER),
    "push": Play(scenery.as_it_is, ("push", roles.pushing), SEVER),
    "reconnect comes back": Play(scenery.left_to_reconnect, ("callback", roles.coming_back), SEVER),
    "connect comes back": Play(scenery.left_to_connect, ("callback", roles.coming_back), SEVER),
    "reconnect leaves": Play(scenery.as_it_is, ("leave", roles.leaving), SEVER),
    "second click": Play(scenery.as_it_is, ("second", roles.disconnecting), SEVER),
    "second worker": Play(scenery.already_fenced, ("twin", roles.twin), SEVER),
    "second worker, old token": Play(scenery.fenced_with_an_old_token, ("twin", roles.twin), SEVER),
    "second worker, thawed": Play(scenery.fenced_with_an_old_token, ("twin", roles.twin), SEVER, frozen=True),
    "erase now": Play(scenery.already_fenced, ("hurry", roles.hurrying), SEVER),
    "support tries again": Play(scenery.already_fenced, ("support", roles.asking_again), SEVER),
    "reconnect during a sync": Play(
        scenery.left_to_reconnect, ("sync", roles.syncing), ("callback", roles.coming_back)
    ),
    "reconnect during a refresh": Play(
        scenery.left_with_an_old_token, ("refresh", roles.refreshing), ("callback", roles.coming_back)
    ),
    "two refreshes": Play(scenery.token_is_old, ("refresh", roles.refreshing), ("other", roles.refreshing)),
    "two syncs": Play(scenery.as_it_is, ("sync", roles.syncing), ("other", roles.syncing), synced=False),
    "two sign-ins": Play(scenery.left_twice, ("callback", roles.coming_back), ("other", roles.coming_back_too)),
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

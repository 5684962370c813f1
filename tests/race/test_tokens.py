"""Refreshing and disconnecting share one lock: one refresh at a time, and what a losing one wins is got rid of."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Disconnection
from portal.workflows import counters
from tests.race.orders import sample
from tests.race.plays import PLAYS, Play, run
from tests.race.roles import disconnecting, refreshing
from tests.race.scenery import token_is_old
from tests.race.schedules import ALL, switches
from tests.race.theatre import Theatre


def test_two_threads_that_need_a_token_make_one_call(theatre: Theatre) -> None:
    play = PLAYS["two refreshes"]
    _, rehearsal = run(theatre, play, switches(("refresh", ALL), ("other", ALL)))
    points = len(rehearsal.turns.actors["refresh"].passed)
    for legs in sample(play, {"refresh": points, "other": points}, 5):
        wrong, scene = run(theatre, play, switches(*legs))
        assert not wrong, scene.turns.story()
        assert [name for name, _ in scene.vendor.calls].count("refresh") == 1, scene.turns.story()
        won = scene.vendor.issued[-1].access
        assert {actor.result for actor in scene.turns.actors.values()} == {won}


@pytest.mark.parametrize("revokes", [True, False])
def test_what_a_refresh_wins_after_the_click_is_got_rid_of_and_counted(theatre: Theatre, revokes: bool) -> None:
    """The click falls into the refresh's call: after Microsoft has answered, before the answer is stored."""
    play = Play(token_is_old, ("refresh", refreshing), ("disconnect", disconnecting), revokes=revokes)
    _, rehearsal = run(theatre, play, switches(("refresh", ALL), ("disconnect", ALL)))
    in_its_call = rehearsal.turns.actors["refresh"].passed.index("refresh: after")  # has passed all before this one
    wrong, scene = run(theatre, play, switches(("refresh", in_its_call), ("disconnect", 2), ("refresh", ALL)))
    assert not wrong, scene.turns.story()
    won = next(each for each in scene.vendor.issued if each.to == "refresh")
    assert counters.values()["tokens_disposed"] == 1
    if revokes:
        assert {won.access, won.refresh} <= set(scene.vendor.revoked)
        assert not won.access_lives
        assert not any(each.refresh_lives for each in scene.vendor.issued if each.to != "MainThread")
    else:
        told = db.session.scalars(select(Disconnection.lapses_at)).one()
        assert told is not None
        assert told >= won.ends
    db.session.rollback()

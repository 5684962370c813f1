"""How long a disconnection may wait once it was told to wait no longer; on both databases."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from portal import clock
from portal import parts as parts_module
from portal.db import db
from portal.models import DisconnectionStep, Receipt
from portal.parts import parts
from portal.providers.base import Unreachable
from portal.workflows import disconnect
from portal.workflows.carry_out import attempt
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

REMOTE = ("end_notifications", "remove_our_meetings", "withdraw_access", "try_the_old_token")


@pytest.fixture
def told(both: World) -> World:
    """Microsoft is silent, and the person wants to wait no longer."""
    both.connected()
    connection = both.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    disconnect.erase_now(begun.id)
    both.microsoft.breaks("drop", "all", times=None)
    return both


def any_wait_is_long(world: World) -> None:
    parts_module.install(world.app, replace(parts(), settings=replace(parts().settings, remote_timeout=0.0)))


def try_(world: World, name: str) -> DisconnectionStep:
    """One try of a step, which ends it."""
    row_id = world.disconnection().id
    db.session.rollback()
    assert attempt(name, row_id) is None
    found = next(each for each in world.disconnection().steps if each.name == name)
    db.session.rollback()
    return found


def test_it_works(told: World) -> None:
    """What follows a call that was waited for in vain is given up untried."""
    any_wait_is_long(told)
    ended = {name: try_(told, name) for name in REMOTE}
    assert [step.attempts for step in ended.values()] == [1, 0, 0, 0]
    assert [step.outcome for step in ended.values()] == ["Expires", "Done", "LeftToYou", "Failed"]
    assert all(step.detail.startswith(Unreachable.sentence) for step in ended.values())


def test_after_a_quick_no_each_is_tried(told: World) -> None:
    assert [try_(told, name).attempts for name in REMOTE] == [1, 1, 1, 1]


def test_after_a_longer_while_each_is_worth_a_try(told: World) -> None:
    any_wait_is_long(told)
    first = try_(told, "end_notifications")
    db.session.get_one(DisconnectionStep, first.id).ended_at = clock.now() - timedelta(minutes=2)
    db.session.commit()
    assert [try_(told, name).attempts for name in REMOTE[1:3]] == [1, 1]


def test_before_the_time_is_over_each_is_tried(told: World) -> None:
    """Given up by the deadline of its own, as it is asked for again; nobody said to wait no longer."""
    any_wait_is_long(told)
    try_(told, "end_notifications")
    row = told.disconnection()
    row.erase_now_at, row.deadline_at = None, clock.now() + timedelta(minutes=15)
    db.session.commit()
    row_id = told.disconnection().id
    db.session.rollback()
    assert (attempt("try_the_old_token", row_id) or 0) > 0


def test_the_local_steps_are_done_all_the_same(told: World) -> None:
    any_wait_is_long(told)
    told.work()
    ended = {step.name: step.outcome for step in told.disconnection().steps if step.name not in REMOTE}
    assert set(ended.values()) == {"Done"}


def test_erase_now_that_comes_when_the_erasure_has_begun_is_not_on_the_receipt(both: World) -> None:
    both.connected()
    connection = both.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    row_id = begun.id
    db.session.rollback()
    for name in (*REMOTE, "erase_tokens"):
        assert attempt(name, row_id) is None
    disconnect.erase_now(row_id)
    assert both.disconnection().erase_now_at is None
    both.work()
    assert json.loads(db.session.get_one(Receipt, row_id).body)["erased_early"] is False
    db.session.rollback()

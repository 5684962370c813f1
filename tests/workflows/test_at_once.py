"""Calls side by side: as many as Microsoft takes for one mailbox, none begun after trouble, none forgotten."""

from __future__ import annotations

import itertools
import threading
from typing import Any

import pytest

from portal.db import db
from portal.parts import parts
from portal.providers.base import Busy, Subscription
from portal.workflows import at_once, disconnect, subscribe
from tests.world import World


def test_it_works() -> None:
    together = threading.Barrier(at_once.AT_ONCE, timeout=10)  # breaks unless so many are under way at once
    done: list[str] = []

    def call(item: str) -> None:
        together.wait()
        done.append(item)

    assert at_once.for_each([f"{number}" for number in range(2 * at_once.AT_ONCE)], call) is None
    assert len(done) == 2 * at_once.AT_ONCE


def test_after_trouble_nothing_more_is_begun_and_what_was_done_is_known() -> None:
    done: list[str] = []

    def call(item: str) -> None:
        if item == "3":
            raise Busy(retry_after=7)
        done.append(item)

    trouble = at_once.for_each([f"{number}" for number in range(1000)], call)
    assert isinstance(trouble, Busy)
    assert trouble.retry_after == 7
    assert "0" in done
    assert len(done) < 1000


def test_when_the_time_is_up_nothing_more_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_once, "LOOK_UP_EVERY", 0.0)
    done: list[str] = []
    trouble = at_once.for_each(map(str, range(100)), done.append, is_over=lambda: len(done) >= 10)
    assert isinstance(trouble, at_once.TimeIsUp)
    assert 10 <= len(done) <= 10 + at_once.AT_ONCE


def test_what_breaks_a_call_comes_out() -> None:
    def call(item: str) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match=r"\d"):
        at_once.for_each(map(str, range(10)), call)


def test_many_subscriptions_of_ours_are_deleted_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one is there only if Microsoft lets its own rule slip; what one try did, the next need not repeat."""
    world.connected()
    connection = world.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    disconnection_id = begun.id
    provider: Any = parts().providers["outlook-calendar"]
    real, ended, together = provider.subscriptions, list[str](), threading.Barrier(at_once.AT_ONCE, timeout=10)

    begun_ones = itertools.count()

    def unsubscribe(_access: str, subscription_id: str) -> str:
        if next(begun_ones) < at_once.AT_ONCE:
            together.wait()
        if subscription_id == "s6" and "s6 refused" not in ended:
            ended.append("s6 refused")
            raise Busy
        ended.append(subscription_id)
        return f"request {subscription_id}"

    def subscriptions(access: str) -> list[Subscription]:
        (mine,) = real(access)
        more = [(f"s{number}", subscribe.address(f"m{number}")) for number in range(7)]
        held = [(mine.id, mine.notification_url), *more]
        return [Subscription(name, mine.resource, at, mine.expires_at) for name, at in held]

    monkeypatch.setattr(provider, "unsubscribe", unsubscribe)
    monkeypatch.setattr(provider, "subscriptions", subscriptions)
    db.session.rollback()
    assert disconnect.carry_out("end_notifications", disconnection_id) is not None
    assert disconnect.carry_out("end_notifications", disconnection_id) is None
    assert "s6" in ended
    step = next(each for each in world.disconnection().steps if each.name == "end_notifications")
    assert (step.outcome, step.count) == ("Done", 8)

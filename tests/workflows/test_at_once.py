"""Calls side by side: as many as Microsoft takes for one mailbox, none begun after trouble, none forgotten."""

from __future__ import annotations

import itertools
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from portal import clock, models
from portal.db import db
from portal.parts import parts
from portal.providers.base import Busy, Subscription
from portal.workflows import at_once, carry_out, disconnect, subscribe
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


def begin(connection: models.Connection) -> str:
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    return begun.id


def test_many_subscriptions_of_ours_are_deleted_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than one is there only if Microsoft lets its own rule slip; what one try did, the next need not repeat."""
    world.connected()
    disconnection_id = begin(world.connection())
    provider: Any = parts().providers["outlook-calendar"]
    real, ended, together = provider.subscriptions, list[str](), threading.Barrier(at_once.AT_ONCE, timeout=10)

    begun_ones = itertools.count()

    def unsubscribe(_access: str, subscription_id: str) -> str:
        if subscription_id.startswith("s") and next(begun_ones) < at_once.AT_ONCE:  # ours was known, and went first
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
        return [Subscription(name, mine.resource, at, mine.expires_at) for name, at in held if name not in ended]

    monkeypatch.setattr(provider, "unsubscribe", unsubscribe)
    monkeypatch.setattr(provider, "subscriptions", subscriptions)
    db.session.rollback()
    assert carry_out.attempt("end_notifications", disconnection_id) is not None
    assert carry_out.attempt("end_notifications", disconnection_id) is None
    assert "s6" in ended
    step = next(each for each in world.disconnection().steps if each.name == "end_notifications")
    assert (step.outcome, step.count) == ("Done", 8)
    assert len(ended) == len(set(ended)), "what was deleted is not asked for again"
    assert {f"request s{number}" for number in range(7)} <= set(step.request_ids), "those of the first try too"


def test_what_was_deleted_before_the_time_ran_out_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three are there; two deletions are answered, the third never is. The receipt says both, and until when."""
    world.connected()
    disconnection_id = begin(world.connection())
    provider: Any = parts().providers["outlook-calendar"]
    real = provider.subscriptions

    def unsubscribe(_access: str, subscription_id: str) -> str:
        if subscription_id == "s1":
            raise Busy(request_id="request refused")
        return f"request {subscription_id}"

    def subscriptions(access: str) -> list[Subscription]:
        (mine,) = real(access)
        later = mine.expires_at + timedelta(hours=5)
        more = [Subscription(f"s{at}", mine.resource, subscribe.address(f"m{at}"), later) for at in range(2)]
        return [mine, *more]

    monkeypatch.setattr(provider, "unsubscribe", unsubscribe)
    monkeypatch.setattr(provider, "subscriptions", subscriptions)
    db.session.rollback()
    assert carry_out.attempt("end_notifications", disconnection_id) is not None
    disconnect.erase_now(disconnection_id)
    assert carry_out.attempt("end_notifications", disconnection_id) is None
    row = world.disconnection()
    step = next(each for each in row.steps if each.name == "end_notifications")
    (ends,) = (each.expires_at for each in db.session.scalars(select(models.Subscription)) if each.provider_id == "s1")
    assert (step.outcome, step.count) == ("Expires", 1)
    assert "2 subscriptions deleted at Microsoft. We have no word that the other one was" in step.detail
    assert row.subscription_ends_at == ends, "it lives longer than ours would have"
    assert {"request s0", "request refused"} <= set(step.request_ids)


def test_a_stray_in_a_shared_mailbox_is_written_down_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two who leave the same mailbox both find it there; neither is stopped by the other's note of it."""
    world.connected()
    mine = world.connection()
    world.sign_in("bob@northwind.example").connect("megan@outlook.example")
    theirs = db.session.scalars(select(models.Connection).where(models.Connection.id != mine.id)).one()
    later = clock.now() + timedelta(hours=5)
    db.session.add(models.Subscription(connection_id=theirs.id, provider_id="stray", expires_at=later, renew_at=later))
    db.session.commit()
    disconnection_id = begin(mine)
    provider: Any = parts().providers["outlook-calendar"]
    stray = Subscription("stray", "", subscribe.address("nobody-s"), later)
    monkeypatch.setattr(provider, "subscriptions", lambda _access: [stray])
    monkeypatch.setattr(provider, "unsubscribe", lambda _access, subscription_id: f"request {subscription_id}")
    db.session.rollback()
    assert carry_out.attempt("end_notifications", disconnection_id) is None
    step = next(each for each in world.disconnection().steps if each.name == "end_notifications")
    assert "request stray" in step.request_ids

"""Limits in the database: a moving window, counted one after the other, by nobody's name; on both databases."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from limits import parse
from limits.strategies import MovingWindowRateLimiter
from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import LimitWindow
from portal.web.limits_storage import DatabaseStorage
from portal.workflows import forget
from tests.world import World

THREE = parse("3 per minute")
WHO = "alice@northwind.example|127.0.0.1"


@pytest.fixture
def limiter(both: World) -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(DatabaseStorage())


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_it_works(limiter: MovingWindowRateLimiter, monkeypatch: pytest.MonkeyPatch) -> None:
    for seconds, fits in ((0, True), (20, True), (40, True), (59, False), (61, True), (62, False), (81, True)):
        at(monkeypatch, seconds)
        assert limiter.test(THREE, WHO) is fits, seconds
        assert limiter.hit(THREE, WHO) is fits, seconds
    assert limiter.hit(THREE, "somebody else")
    assert limiter.get_window_stats(THREE, WHO).remaining == 0
    limiter.clear(THREE, WHO)
    assert limiter.hit(THREE, WHO)


def test_nobody_can_be_read_from_it(limiter: MovingWindowRateLimiter) -> None:
    limiter.hit(THREE, WHO)
    row = db.session.scalars(select(LimitWindow)).one()
    assert len(row.key) == 64
    assert "alice" not in row.key
    assert "127" not in str(row.hits)[:3]


def test_nobody_can_be_looked_for_without_our_secret(both: World, limiter: MovingWindowRateLimiter) -> None:
    """Else whoever holds a copy of the table could try who was here."""
    for secret in ("s" * 40, "t" * 40):
        both.app.config["SECRET_KEY"] = secret
        limiter.hit(THREE, WHO)
    assert len(db.session.scalars(select(LimitWindow)).all()) == 2


def test_one_is_forgotten_and_the_others_are_not(limiter: MovingWindowRateLimiter) -> None:
    for who in (WHO, "somebody else"):
        assert [limiter.hit(THREE, who) for _ in range(4)] == [True] * 3 + [False]
    limiter.clear(THREE, WHO)
    assert limiter.hit(THREE, WHO)
    assert not limiter.hit(THREE, "somebody else")


def test_many_at_once_are_counted_one_after_the_other(both: World, limiter: MovingWindowRateLimiter) -> None:
    began, allowed = threading.Barrier(8), list[bool]()

    def hit() -> None:
        with both.app.app_context():
            began.wait(20)
            allowed.append(limiter.hit(THREE, WHO))

    db.session.rollback()
    threads = [threading.Thread(target=hit) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert sorted(allowed) == [False] * 5 + [True] * 3


def test_counts_whose_time_is_over_are_forgotten(
    limiter: MovingWindowRateLimiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(monkeypatch, 0)
    limiter.hit(THREE, WHO)
    at(monkeypatch, 30)
    limiter.hit(THREE, "later")
    at(monkeypatch, 70)
    forget.forget_limits()
    assert limiter.get_window_stats(THREE, "later").remaining == 2, "whose time is not over"
    assert len(db.session.scalars(select(LimitWindow)).all()) == 1
    assert DatabaseStorage().reset() == 1

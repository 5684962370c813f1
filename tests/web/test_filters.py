"""Moments and numbers as people write them."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from flask import Flask

from portal import clock
from portal.web import filters

AT = datetime(2026, 7, 3, 12, 5, tzinfo=UTC)


@pytest.fixture(autouse=True)
def this_year(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: datetime(2026, 11, 24, tzinfo=UTC))


def test_it_works() -> None:
    assert filters.moment(AT) == '<time datetime="2026-07-03T12:05:00Z">Fri 3 Jul, 12:05 UTC</time>'
    assert filters.clock_time(AT) == '<time datetime="2026-07-03T12:05:00Z">12:05 UTC</time>'


def test_a_receipt_keeps_moments_as_text() -> None:
    assert filters.moment("2026-07-03T12:05:00+00:00") == filters.moment(AT)


def test_another_year_is_said() -> None:
    assert "Sat 3 Jul 2027, 12:05 UTC" in filters.moment(AT.replace(year=2027))


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("Europe/Berlin", "14:05 CEST"),
        ("America/Sao_Paulo", "09:05 UTC-03"),
        ("../../etc/passwd", "12:05 UTC"),
        ("Nowhere/Land", "12:05 UTC"),
        ("x" * 500, "12:05 UTC"),
    ],
)
def test_moments_are_on_the_readers_clock(app: Flask, zone: str, words: str) -> None:
    with app.test_request_context("/", headers={"Cookie": f"{filters.COOKIE}={zone}"}):
        assert words in filters.clock_time(AT)


def test_numbers_have_the_word_that_suits_them() -> None:
    assert [str(filters.count(number, "calendar")) for number in (0, 1, 3)] == [
        "no calendars",
        "1 calendar",
        "3 calendars",
    ]
    assert filters.day(date(2026, 12, 1)) == "1 December"

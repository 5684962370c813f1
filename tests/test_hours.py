"""Support's hours: on whose clock, and when they begin again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portal.hours import Hours

BERLIN = Hours.read("Mon-Fri 09:00-17:00 Europe/Berlin")


@pytest.mark.parametrize(
    ("now", "opens"),
    [
        ("2026-11-24T10:00", None),  # a Tuesday
        ("2026-11-24T07:30", "2026-11-24T08:00"),
        ("2026-11-24T16:00", "2026-11-25T08:00"),
        ("2026-11-27T16:30", "2026-11-30T08:00"),  # over a weekend
        ("2026-03-27T16:30", "2026-03-30T07:00"),  # into summer time
    ],
)
def test_it_works(now: str, opens: str | None) -> None:
    found = BERLIN.opens_at(datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert found == (datetime.fromisoformat(opens).replace(tzinfo=UTC) if opens else None)


@pytest.mark.parametrize(
    "text", ["", "always", "Mon-Fri 9-17 UTC", "Fri-Mon 09:00-17:00 UTC", "Mon-Fri 17:00-09:00 UTC"]
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Hours.read(text)

"""The only place that reads the time, so that tests (and readers) know where "now" comes from."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> datetime:
    """The current moment, always with a time zone (UTC)."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Seconds on a clock that never goes backwards: for measuring, never for storing."""
    return time.monotonic()

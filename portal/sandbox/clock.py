"""The sandbox's own clock: it runs at the usual pace, shifted by however far the desk moved it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the sandbox's time (always UTC), and tells its listeners when it was moved."""

    def __init__(self) -> None:
        self.offset = timedelta(0)
        self.listeners: list[Callable[[], None]] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def move(self, by: timedelta) -> None:
        """Jump forward or back. Waiting deliveries look at their due times again."""
        self.set(self.offset + by)

    def set(self, offset: timedelta) -> None:
        """Jump to a distance from real time; zero is real time."""
        self.offset = offset
        for listener in self.listeners:
            listener()

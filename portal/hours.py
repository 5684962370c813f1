"""Support's hours: on which days, from when to when, on whose clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
SHAPE = re.compile(r"(\w{3})-(\w{3}) (\d\d):(\d\d)-(\d\d):(\d\d) ([\w/+-]+)")


@dataclass(frozen=True)
class Hours:
    """`Mon-Fri 09:00-17:00 Europe/Berlin`: first and last day of the week, opening and closing time, and the zone."""

    first: int
    last: int
    opens: time
    closes: time
    zone: ZoneInfo

    @classmethod
    def read(cls, text: str) -> Hours:
        """From a setting. Raises ValueError (or a kind of it) for what makes no sense."""
        found = SHAPE.fullmatch(text.strip())
        if found is None:
            raise ValueError(text)
        first, last, *numbers, zone = found.groups()
        opens, closes = time(int(numbers[0]), int(numbers[1])), time(int(numbers[2]), int(numbers[3]))
        hours = cls(DAYS.index(first), DAYS.index(last), opens, closes, ZoneInfo(zone))
        if hours.first > hours.last or opens >= closes:
            raise ValueError(text)
        return hours

    def opens_at(self, now: datetime) -> datetime | None:
        """When they begin again; None while they last."""
        local = now.astimezone(self.zone)
        for ahead in range(9):
            day = local.date() + timedelta(days=ahead)
            if not self.first <= day.weekday() <= self.last:
                continue
            opens = datetime.combine(day, self.opens, self.zone)
            if local < opens:
                return opens.astimezone(UTC)
            if local < datetime.combine(day, self.closes, self.zone):
                return None
        return None

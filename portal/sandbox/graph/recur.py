"""Laying a recurring series out over a window of time.

Follows https://learn.microsoft.com/graph/api/resources/patternedrecurrence: daily, weekly, absolute and relative
monthly and yearly patterns; ranges noEnd, endDate and numbered. Leaves out recurrenceTimeZone other than the event's.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..mailbox import occurrence_id
from ..records.mailbox import Event, Mailbox
from .zones import to_utc

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
KINDS = {"daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"}
WEEKS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "last": -1}


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a calendar view: `event` carries the content, `start` and `end` are wall-clock in its zone.

    `kind` is Graph's event type; `version` grows with every change that this entry shows.
    """

    key: str
    kind: str
    event: Event
    start: datetime
    end: datetime
    version: int


def split_occurrence(key: str) -> tuple[str, datetime] | None:
    """The master's id and the planned start out of an occurrence's id; None for any other id."""
    master, dot, when = key.rpartition(".")
    try:
        return (master, datetime.strptime(when, "%Y%m%dT%H%M")) if dot else None  # noqa: DTZ007  wall-clock time
    except ValueError:
        return None


def dates(recurrence: dict[str, Any], start: date) -> Iterator[date]:
    """The planned dates of a series, oldest first, without an end where the series has none.

    `start` counts where the range names no startDate. Raises ValueError, KeyError or TypeError for what it cannot read.
    """
    pattern, limits = recurrence.get("pattern", {}), recurrence.get("range", {})
    first = date.fromisoformat(str(limits.get("startDate") or start.isoformat())[:10])
    kind = limits.get("type", "noEnd")
    last = date.fromisoformat(str(limits["endDate"])[:10]) if kind == "endDate" else date(2200, 1, 1)
    left = int(limits.get("numberOfOccurrences", 1)) if kind == "numbered" else 100_000
    for day in _pattern_days(pattern, first):
        if day > last or left <= 0:
            return
        if day >= first:
            left -= 1
            yield day


def _pattern_days(pattern: dict[str, object], first: date) -> Iterator[date]:
    every = max(1, int(str(pattern.get("interval", 1))))
    kind = str(pattern.get("type", "daily"))
    if kind not in KINDS:
        raise ValueError(kind)
    wanted = [str(day).lower() for day in _list(pattern.get("daysOfWeek"))] or [DAYS[first.weekday()]]
    if kind == "daily":
        for step in range(100_000):
            yield first + timedelta(days=step * every)
    elif kind == "weekly":
        week_start = DAYS.index(str(pattern.get("firstDayOfWeek", "sunday")).lower())
        monday = first - timedelta(days=(first.weekday() - week_start) % 7)
        offsets = sorted((DAYS.index(day) - week_start) % 7 for day in wanted)
        for week in range(20_000):
            for offset in offsets:
                yield monday + timedelta(days=7 * week * every + offset)
    else:
        months = every * (12 if kind.endswith("Yearly") else 1)
        month = first.month
        if kind.endswith("Yearly") and pattern.get("month"):
            month = int(str(pattern["month"]))
        for step in range(0, 2_400, months):
            year, index = divmod(first.year * 12 + month - 1 + step, 12)
            yield from _in_month(kind, pattern, wanted, year, index + 1, first)


def _in_month(
    kind: str, pattern: dict[str, object], wanted: list[str], year: int, month: int, first: date
) -> Iterator[date]:
    length = calendar.monthrange(year, month)[1]
    if kind.startswith("absolute"):
        # Outlook puts "the 31st" on the last day of a shorter month.
        yield date(year, month, min(int(str(pattern.get("dayOfMonth") or first.day)), length))
        return
    fitting = [day for day in range(1, length + 1) if DAYS[date(year, month, day).weekday()] in wanted]
    yield date(year, month, fitting[WEEKS[str(pattern.get("index", "first"))]])


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, list | tuple) else []


def series(master: Event) -> Iterator[tuple[datetime, datetime]]:
    """Planned wall-clock start and end of every occurrence that was not cancelled."""
    length = master.end - master.start
    for day in dates(master.recurrence or {}, master.start.date()):
        start = datetime.combine(day, master.start.time())
        if start.isoformat() not in master.cancelled:
            yield start, start + length


def lay_out(box: Mailbox, calendar_id: str | None, start: datetime, end: datetime) -> list[Item]:
    """Everything that touches the window (two instants), ordered by start; `calendar_id` None means every calendar."""
    exceptions: dict[str, dict[datetime, Event]] = {}
    for event in list(box.events.values()):
        if event.master and event.original:
            exceptions.setdefault(event.master, {})[event.original] = event
    found: list[Item] = []
    for event in list(box.events.values()):
        if event.master or (calendar_id and event.calendar != calendar_id):
            continue
        if event.recurrence:
            found += _occurrences(event, exceptions.get(event.id, {}), start, end)
        elif touches(event, event.start, event.end, start, end):
            found.append(Item(event.id, "singleInstance", event, event.start, event.end, event.version))
    return sorted(found, key=lambda item: (instant(item.event, item.start), item.key))


def _occurrences(master: Event, exceptions: dict[datetime, Event], start: datetime, end: datetime) -> Iterator[Item]:
    for exception in exceptions.values():
        if touches(exception, exception.start, exception.end, start, end):
            yield Item(exception.id, "exception", exception, exception.start, exception.end, exception.version)
    for begins, ends in series(master):
        if instant(master, begins) >= end:
            return
        if begins not in exceptions and touches(master, begins, ends, start, end):
            yield Item(occurrence_id(master, begins), "occurrence", master, begins, ends, master.version)


def instant(event: Event, wall: datetime) -> datetime:
    """The instant of one of the event's times; an all-day event floats, and counts as if it were in UTC."""
    return wall.replace(tzinfo=UTC) if event.all_day else to_utc(wall, event.zone)


def touches(event: Event, begins: datetime, ends: datetime, start: datetime, end: datetime) -> bool:
    first, last = instant(event, begins), instant(event, ends)
    return first < end and (last > start or first == last >= start)

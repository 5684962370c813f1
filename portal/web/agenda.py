"""Lay meetings and copied events out by day, on the reader's own clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo

from portal.models import Copy, Meeting

MEETING, COPY = "meeting", "copy"


@dataclass(frozen=True)
class Entry:
    """Something that takes time. Whole-day entries run from midnight to midnight of their own days, in no zone."""

    source: str
    title: str
    place: str
    starts_at: datetime
    ends_at: datetime
    is_all_day: bool = False


@dataclass(frozen=True)
class Shown:
    """An entry as one day shows it."""

    time: str
    title: str
    source: str
    place: str


@dataclass
class Day:
    """One day with what is on it. `name` is Today, Tomorrow or the weekday."""

    date: date
    name: str
    entries: list[Shown] = field(default_factory=list)


def from_meeting(meeting: Meeting) -> Entry:
    """A meeting of ours."""
    return Entry(MEETING, meeting.title, meeting.place, meeting.starts_at, meeting.ends_at)


def from_copy(copy: Copy, calendar: str) -> Entry:
    """An event of theirs. What a private one is about we do not know."""
    title = "Private event" if copy.is_private else copy.subject or "(No title)"
    return Entry(COPY, title, calendar, copy.starts_at, copy.ends_at, copy.is_all_day)


def lay_out(entries: Iterable[Entry], today: date, days: int, zone: tzinfo) -> list[Day]:
    """The days from today on that have something on them, whole-day entries first."""
    found: dict[date, list[tuple[bool, datetime, Shown]]] = {}
    for entry in entries:
        first, last = span(entry, zone)
        at = max(first, today)
        while at <= min(last, today + timedelta(days=days - 1)):
            shown = Shown(words(entry, at, zone), entry.title, entry.source, entry.place)
            found.setdefault(at, []).append((not entry.is_all_day, entry.starts_at, shown))
            at += timedelta(days=1)
    return [
        Day(at, name_of(at, today), [shown for _, _, shown in sorted(found[at], key=lambda each: each[:2])])
        for at in sorted(found)
    ]


def span(entry: Entry, zone: tzinfo) -> tuple[date, date]:
    """First and last day of an entry. Something that ends at midnight does not touch the next day."""
    own_zone = UTC if entry.is_all_day else zone
    starts, ends = entry.starts_at.astimezone(own_zone), entry.ends_at.astimezone(own_zone)
    last = (ends - timedelta(microseconds=1)).date() if ends > starts else starts.date()
    return starts.date(), max(last, starts.date())


def words(entry: Entry, at: date, zone: tzinfo) -> str:
    """`09:00–10:00`, or what of it belongs to this day."""
    if entry.is_all_day:
        return "All day"
    starts, ends = entry.starts_at.astimezone(zone), entry.ends_at.astimezone(zone)
    first, last = span(entry, zone)
    if first == last:
        return f"{starts:%H:%M}–{ends:%H:%M}"
    if at == first:
        return f"From {starts:%H:%M}"
    return f"Until {ends:%H:%M}" if at == last else "All day"


def name_of(at: date, today: date) -> str:
    """Today, Tomorrow, Friday."""
    return {0: "Today", 1: "Tomorrow"}.get((at - today).days, f"{at:%A}")

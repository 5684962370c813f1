"""Moments and numbers as people write them. Moments are shown on the reader's own clock where the browser told us."""

from __future__ import annotations

from datetime import UTC, date, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Flask, has_request_context, request
from markupsafe import Markup, escape

from portal import clock

COOKIE = "coordinoter_zone"


def setup(app: Flask) -> None:
    """Give templates the filters below."""
    for name, function in (
        ("moment", moment),
        ("clock", clock_time),
        ("day", day),
        ("ago", ago),
        ("plural", plural),
        ("count", count),
    ):
        app.add_template_filter(function, name)


@lru_cache(maxsize=64)
def zone_named(name: str) -> tzinfo:
    """A time zone by its IANA name; UTC for a name that is none."""
    try:
        return ZoneInfo(name) if 0 < len(name) <= 64 else UTC
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def zone() -> tzinfo:
    """The reader's time zone, from a cookie that portal.js sets; UTC until then."""
    return zone_named(request.cookies.get(COOKIE, "")) if has_request_context() else UTC


def zone_name() -> str:
    """Its name for people: Europe/Berlin, or UTC."""
    return str(getattr(zone(), "key", "UTC"))


def local(value: datetime | str) -> datetime:
    """A moment (ISO text as in a receipt will do) on the reader's clock."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at.astimezone(zone())


def short_zone(at: datetime) -> str:
    """CET, UTC and the like; zones without letters become UTC+3."""
    name = at.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name


def moment(value: datetime | str) -> Markup:
    """`Tue 24 Nov, 14:05 CET`; with the year when it is another one."""
    at = local(value)
    year = f" {at.year}" if at.year != clock.now().year else ""
    return stamped(at, f"{at:%a} {at.day} {at:%b}{year}, {at:%H:%M} {short_zone(at)}")


def clock_time(value: datetime | str) -> Markup:
    """`14:05 CET`."""
    at = local(value)
    return stamped(at, f"{at:%H:%M} {short_zone(at)}")


def ago(value: datetime) -> Markup:
    """`a moment ago`, `3 minutes ago`, `2 hours ago`; further back it is the moment itself."""
    minutes = int((clock.now() - value).total_seconds() // 60)
    if minutes >= 24 * 60:
        return moment(value)
    number, unit = (minutes, "minute") if minutes < 60 else (minutes // 60, "hour")
    return stamped(local(value), f"{number} {unit}{'' if number == 1 else 's'} ago" if number else "a moment ago")


def stamped(at: datetime, words: str) -> Markup:
    """The words, with the exact moment for machines."""
    exact = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}">{}</time>').format(exact, words)


def day(value: date) -> str:
    """`24 November`."""
    return f"{value.day} {value:%B}"


def plural(number: int, one: str, many: str) -> str:
    """The word that suits the number."""
    return one if number == 1 else many


def count(number: int, one: str, many: str = "") -> Markup:
    """`1 calendar`, `3 calendars`, `no calendars`."""
    return Markup("{} {}").format(number or "no", escape(plural(number, one, many or f"{one}s")))

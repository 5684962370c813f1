"""Graph's times into UTC: seven decimals, named zones of two families, whole days.

https://learn.microsoft.com/graph/api/resources/datetimetimezone
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from portal.providers.base import Unreachable
from portal.providers.outlook.shape import senseless
from portal.providers.outlook.zones import WINDOWS

_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def moment(value: object) -> datetime:
    """A dateTimeTimeZone as a moment in UTC."""
    naive, zone = _parts(value)
    if naive.tzinfo is not None:
        return _to_utc(naive)
    return _to_utc(naive.replace(tzinfo=_zone(zone)))


def day(value: object) -> datetime:
    """The start or end of a whole day: the date it names, at midnight, whatever the zone beside it."""
    naive, _ = _parts(value)
    return naive.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)


def instant(value: object) -> datetime:
    """An Edm.DateTimeOffset such as a subscription's end; one without an offset is UTC."""
    found = _parse(value)
    return _to_utc(found if found.tzinfo is not None else found.replace(tzinfo=UTC))


def _parts(value: object) -> tuple[datetime, object]:
    if not isinstance(value, dict):
        raise senseless()
    return _parse(value.get("dateTime")), value.get("timeZone")


def _parse(value: object) -> datetime:
    found = _FORM.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise senseless()
    whole, decimals, offset = found.groups()
    try:
        parsed = datetime.fromisoformat(whole + (offset or ""))
    except ValueError:
        raise senseless() from None
    return parsed.replace(microsecond=int((decimals or "0")[:6].ljust(6, "0")))


def _zone(name: object) -> tzinfo:
    """UTC, an IANA name or a Windows name; without a name it is UTC, Graph's default. An unknown one is refused."""
    if name is None:
        return UTC
    if not isinstance(name, str):
        raise senseless()
    if name in {"UTC", "Etc/UTC", "Etc/GMT", "GMT", "tzone://Microsoft/Utc"}:
        return UTC
    try:
        return ZoneInfo(WINDOWS.get(name, name))
    except (ValueError, OSError, KeyError):  # no such zone, or not even the form of one
        raise Unreachable("Microsoft named a time zone we do not know.") from None


def _to_utc(found: datetime) -> datetime:
    try:
        return found.astimezone(UTC)
    except (OverflowError, ValueError):
        raise senseless() from None

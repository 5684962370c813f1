"""How the agenda is laid out: by day, on the reader's own clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from portal.web.agenda import COPY, MEETING, Day, Entry, lay_out

TODAY = date(2026, 11, 24)
BERLIN = ZoneInfo("Europe/Berlin")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def shown(*entries: Entry, zone: tzinfo = UTC, days: int = 14) -> list[Day]:
    return lay_out(entries, TODAY, days, zone)


def told(days: list[Day]) -> list[tuple[str, list[str]]]:
    return [(day.name, [each.time for each in day.entries]) for day in days]


def test_it_works() -> None:
    days = shown(
        Entry(MEETING, "Review", "Room", at(24, 15), at(24, 16)),
        Entry(COPY, "Coffee", "Calendar", at(24, 9), at(24, 9, 30)),
        Entry(COPY, "Later", "Calendar", at(27, 9), at(27, 10)),
    )
    assert told(days) == [("Today", ["09:00–09:30", "15:00–16:00"]), ("Friday", ["09:00–10:00"])]
    assert [each.source for each in days[0].entries] == [COPY, MEETING]


def test_late_evening_in_utc_is_tomorrow_in_berlin() -> None:
    late = Entry(MEETING, "Late", "", at(24, 23, 30), at(25, 0))
    assert told(shown(late)) == [("Today", ["23:30–00:00"])]
    assert told(shown(late, zone=BERLIN)) == [("Tomorrow", ["00:30–01:00"])]


def test_whole_days_keep_their_dates_in_every_zone() -> None:
    holiday = Entry(COPY, "Holiday", "", at(25, 0), at(27, 0), is_all_day=True)
    for zone in (UTC, BERLIN, ZoneInfo("America/Los_Angeles"), ZoneInfo("Pacific/Auckland")):
        assert told(shown(holiday, zone=zone)) == [("Tomorrow", ["All day"]), ("Thursday", ["All day"])]


def test_what_goes_on_over_night_shows_on_both_days() -> None:
    night = Entry(COPY, "Release", "", at(24, 22), at(25, 2))
    assert told(shown(night)) == [("Today", ["From 22:00"]), ("Tomorrow", ["Until 02:00"])]


def test_only_the_days_asked_for_are_shown() -> None:
    long = Entry(COPY, "Sabbatical", "", at(1, 0), at(30, 0) + timedelta(days=60), is_all_day=True)
    assert len(shown(long, days=14)) == 14


def test_a_moment_without_length_is_still_shown() -> None:
    assert told(shown(Entry(COPY, "Ping", "", at(24, 0), at(24, 0)))) == [("Today", ["00:00–00:00"])]

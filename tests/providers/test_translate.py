"""Microsoft's JSON into our values: what we keep, what never gets in, and that nothing crashes us."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.providers.base import Calendar, Event, Unreachable
from portal.providers.outlook import notices, translate

START = {"dateTime": "2026-03-03T09:00:00.0000000", "timeZone": "UTC"}
END = {"dateTime": "2026-03-03T10:30:00.1234567", "timeZone": "UTC"}
LUNCH: dict[str, Any] = {
    "@odata.type": "#microsoft.graph.event",
    "@odata.etag": 'W/"1"',
    "id": "e1",
    "subject": "Lunch",
    "bodyPreview": "with Megan, about the salary",
    "body": {"contentType": "html", "content": "<p>with Megan, about the salary</p>"},
    "attendees": [{"emailAddress": {"address": "megan@outlook.example"}}],
    "start": START,
    "end": END,
    "isAllDay": False,
    "isCancelled": False,
    "sensitivity": "normal",
    "showAs": "busy",
    "type": "singleInstance",
}


def page(*items: Any, **links: Any) -> dict[str, Any]:
    return {"value": list(items), **(links or {"@odata.deltaLink": "https://graph.example/d"})}


def test_it_works() -> None:
    changes = translate.changes(page(LUNCH, {"id": "e2", "@removed": {"reason": "deleted"}}))
    assert changes.events == (
        Event(
            id="e1",
            subject="Lunch",
            starts_at=datetime(2026, 3, 3, 9, tzinfo=UTC),
            ends_at=datetime(2026, 3, 3, 10, 30, 0, 123456, tzinfo=UTC),
            is_all_day=False,
            is_private=False,
            show_as="busy",
        ),
    )
    assert changes.removed == ("e2",) and changes.delta_link == "https://graph.example/d" and changes.next_link is None
    assert "salary" not in repr(changes) and "megan" not in repr(changes)


@pytest.mark.parametrize("sensitivity", ["private", "confidential", "somethingNew", "", 7, {}])
def test_a_private_subject_never_gets_in(sensitivity: Any) -> None:
    event = translate.event({**LUNCH, "sensitivity": sensitivity})
    assert event.is_private and event.subject == "" and "Lunch" not in repr(event)


@pytest.mark.parametrize("sensitivity", ["normal", "personal", None])
def test_other_subjects_are_kept(sensitivity: Any) -> None:
    event = translate.event({**LUNCH, "sensitivity": sensitivity})
    assert not event.is_private and event.subject == "Lunch"


@pytest.mark.parametrize(
    "gone",
    [
        {"id": "e1", "@removed": {"reason": "deleted"}},
        {"id": "e1", "@removed": {"reason": "changed"}},
        {**LUNCH, "isCancelled": True},
        {**LUNCH, "type": "seriesMaster"},
        {"id": "e1", "type": "seriesMaster"},
    ],
)
def test_what_is_not_there_any_more_is_removed(gone: dict[str, Any]) -> None:
    changes = translate.changes(page(gone))
    assert changes.events == () and changes.removed == ("e1",)


def test_the_last_word_on_an_event_counts() -> None:
    removed = {"id": "e1", "@removed": {"reason": "deleted"}}
    assert translate.changes(page(LUNCH, removed)).removed == ("e1",)
    assert translate.changes(page(removed, LUNCH)).removed == ()
    again = translate.changes(page(LUNCH, {**LUNCH, "subject": "Late lunch"}))
    assert [event.subject for event in again.events] == ["Late lunch"]


def test_an_occurrence_takes_from_its_series_only_what_it_lacks() -> None:
    series = {"id": "m1", "type": "seriesMaster", "subject": "Weekly", "showAs": "oof", "isAllDay": False, "start": END}
    bare = {"id": "o1", "type": "occurrence", "seriesMasterId": "m1", "start": START, "end": END}
    assert translate.missing_masters(page(bare)) == ("m1",)
    assert translate.missing_masters(page(bare, series)) == ()
    event = translate.changes(page(bare), {"m1": series}).events[0]
    assert (event.subject, event.show_as, event.starts_at.hour) == ("Weekly", "oof", 9)
    own = {**bare, "type": "exception", "subject": "Once only", "showAs": "free"}
    assert translate.missing_masters(page(own)) == ()
    event = translate.changes(page(own, series)).events[0]
    assert (event.subject, event.show_as) == ("Once only", "free")


def test_an_all_day_event_keeps_its_days_in_every_zone() -> None:
    for zone in ("UTC", "W. Europe Standard Time", "tzone://Microsoft/Custom", None):
        event = translate.event(
            {
                **LUNCH,
                "isAllDay": True,
                "start": {"dateTime": "2026-03-03T00:00:00.0000000", "timeZone": zone},
                "end": {"dateTime": "2026-03-05T00:00:00.0000000", "timeZone": zone},
            }
        )
        assert event.is_all_day
        assert (event.starts_at, event.ends_at) == (datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 5, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "zone", "hour"),
    [
        ("2026-03-03T09:00:00.0000000", "UTC", 9),
        ("2026-03-03T09:00:00", None, 9),
        ("2026-03-03T09:00:00.5", "Europe/Berlin", 8),
        ("2026-07-03T09:00:00.0000000", "W. Europe Standard Time", 7),
        ("2026-03-03T09:00:00.0000000", "Pacific Standard Time", 17),
        ("2026-03-03T09:00:00.0000000", "tzone://Microsoft/Utc", 9),
        ("2026-03-03T09:00:00Z", "Europe/Berlin", 9),
        ("2026-03-03T09:00:00+01:00", "UTC", 8),
    ],
)
def test_named_zones_become_utc(text: str, zone: str | None, hour: int) -> None:
    times = {"start": {"dateTime": text, "timeZone": zone}, "end": {"dateTime": text, "timeZone": zone}}
    assert translate.event({**LUNCH, **times}).starts_at.hour == hour


@pytest.mark.parametrize(
    "times",
    [
        {"start": None},
        {"start": "2026-03-03T09:00:00"},
        {"start": {}},
        {"start": {"dateTime": None, "timeZone": "UTC"}},
        {"start": {"dateTime": "2026-03-03", "timeZone": "UTC"}},
        {"start": {"dateTime": "2026-02-30T09:00:00", "timeZone": "UTC"}},
        {"start": {"dateTime": "2026-03-03T25:00:00", "timeZone": "UTC"}},
        {"start": {"dateTime": "2026-03-03T09:00:60", "timeZone": "UTC"}},
        {"start": {"dateTime": "12026-03-03T09:00:00", "timeZone": "UTC"}},
        {"start": {"dateTime": "0000-03-03T09:00:00", "timeZone": "UTC"}},
        {"start": {"dateTime": "0001-01-01T00:00:00", "timeZone": "Asia/Tokyo"}},
        {"end": {"dateTime": "9999-12-31T23:00:00", "timeZone": "Pacific Standard Time"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "tzone://Microsoft/Custom"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "Atlantis Standard Time"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "../../etc/passwd"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "/etc/passwd"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "Europe"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "x" * 5000}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": ""}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": "\x00"}},
        {"start": {"dateTime": "2026-03-03T09:00:00", "timeZone": ["UTC"]}},
        {"start": {"dateTime": "٢٠٢٦-03-03T09:00:00", "timeZone": "UTC"}},
        {"start": END, "end": START},
    ],
)
def test_a_time_that_makes_no_sense_is_refused(times: dict[str, Any]) -> None:
    with pytest.raises(Unreachable):
        translate.event({**LUNCH, **times})


def test_what_no_database_holds_is_left_out() -> None:
    assert translate.event({**LUNCH, "subject": "a\x00b\ud800c\nd"}).subject == "abc\nd"
    for key in ("", "a\x00", "\udc00", None, 7):
        with pytest.raises(Unreachable):
            translate.event({**LUNCH, "id": key})


@pytest.mark.parametrize(
    "links",
    [
        {"@odata.deltaLink": None},
        {"@odata.deltaLink": ""},
        {"@odata.deltaLink": 7},
        {"@odata.nextLink": "https://a", "@odata.deltaLink": "https://b"},
    ],
)
def test_a_page_has_one_link(links: dict[str, Any]) -> None:
    with pytest.raises(Unreachable):
        translate.changes(page(**links))


def test_calendars_and_people() -> None:
    assert translate.calendar({"id": "c", "name": None, "canEdit": None}) == Calendar("c", "", False, False)
    assert translate.person({"mail": "", "userPrincipalName": "u@x.example"}) == ("u@x.example", "")


# --- whatever the schema of an event allows -------------------------------------------------------------------------

TEXT = st.text(max_size=12)
NULL = st.none()
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Pacific Standard Time", "Nowhere", ""]) | TEXT | NULL
CLOCK = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds"))
MOMENT = st.fixed_dictionaries(
    {},
    optional={
        "dateTime": CLOCK | CLOCK.map(lambda text: text + ".0000000") | TEXT,
        "timeZone": ZONES,
        "@odata.type": TEXT,
    },
)
ANYTHING = st.recursive(
    NULL | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "id": TEXT | st.sampled_from(["e1", "m1"]),
        "subject": TEXT | NULL,
        "start": MOMENT | NULL,
        "end": MOMENT | NULL,
        "isAllDay": st.booleans() | NULL,
        "isCancelled": st.booleans() | NULL,
        "sensitivity": st.sampled_from(["normal", "personal", "private", "confidential"]) | st.just({}) | NULL,
        "showAs": st.sampled_from(["free", "tentative", "busy", "oof", "workingElsewhere", "unknown"]) | NULL,
        "type": st.sampled_from(["singleInstance", "occurrence", "exception", "seriesMaster"]) | NULL,
        "seriesMasterId": st.sampled_from(["m1", "m2"]) | TEXT | NULL,
        "@removed": st.fixed_dictionaries({"reason": TEXT}),
        "categories": st.lists(TEXT, max_size=2),
    },
)
ODD = st.builds(lambda event, key, value: {**event, key: value}, EVENT, st.sampled_from(sorted(LUNCH)), ANYTHING)
LINKS = st.fixed_dictionaries({}, optional={"@odata.nextLink": TEXT | NULL, "@odata.deltaLink": TEXT | NULL})


@settings(max_examples=150, deadline=None)
@given(st.lists(EVENT | ODD, max_size=3) | ANYTHING, LINKS, st.dictionaries(st.just("m1"), EVENT | ODD))
def test_any_page_is_translated_or_refused(value: Any, links: dict[str, Any], masters: dict[str, Any]) -> None:
    with contextlib.suppress(Unreachable):
        whole = {"value": value, **links}
        translate.missing_masters(whole)
        changes = translate.changes(whole, masters)
        for event in changes.events:
            assert event.starts_at.tzinfo is UTC and event.starts_at <= event.ends_at
            assert not (event.is_private and event.subject)
            (event.id + event.subject + event.show_as).encode()
        assert (changes.next_link is None) != (changes.delta_link is None)
        assert not set(changes.removed) & {event.id for event in changes.events}


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["id", "name", "resource", "notificationUrl", "expirationDateTime", "mail"]), ANYTHING
    )
)
def test_any_other_object_is_translated_or_refused(found: dict[str, Any]) -> None:
    for read in (translate.calendar, notices.subscription, translate.person):
        with contextlib.suppress(Unreachable):
            read(found)

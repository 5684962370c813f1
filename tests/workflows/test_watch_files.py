"""What the nightly look makes of a report, whatever stands in it. That it finds what is there: tests/residue."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Activity
from portal.parts import parts
from portal.residue import apart
from portal.residue.apart import CouldNotLook
from portal.workflows import counters, watch_files
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

OWNER = "f" * 32
CLEAR = "access token in the clear"
LOST = CouldNotLook("TimeoutExpired")

Look = dict[str, Any] | CouldNotLook
Night = Callable[..., dict[str, int]]


def find(file: str, kind: str = CLEAR, owner: str = "", *, bounded: bool = False) -> dict[str, Any]:
    return {"file": file, "offset": 7, "kind": kind, "owner": owner, "sha256": "0" * 12, "bounded": bounded}


def report(*findings: dict[str, Any], more: int = 0, unread: tuple[str, ...] = ()) -> dict[str, Any]:
    """What `flask residue --json` says, as far as it is read."""
    return {"findings": list(findings), "more": more, "unread": [{"file": each, "why": "locked"} for each in unread]}


@pytest.fixture
def night(both: World, monkeypatch: pytest.MonkeyPatch) -> Night:
    """One night in which so many looks are taken, and find this."""

    def pass_(*looks: Look) -> dict[str, int]:
        coming = iter(looks)

        def look_apart(*, seconds: float) -> dict[str, Any]:
            assert seconds == watch_files.SECONDS
            assert not db.session().in_transaction(), "nobody may wait for us while files are read"
            found = next(coming)
            if isinstance(found, CouldNotLook):
                raise found
            return found

        monkeypatch.setattr(watch_files, "look_apart", look_apart)
        assert counters.values(), "a transaction is open as it begins"
        told = watch_files.watch_files()
        assert list(coming) == [], "as many looks as were needed"
        return told

    return pass_


def recorded(event: str = "watch:residue") -> list[tuple[str | None, str]]:
    """Connection and detail of what the watch wrote down."""
    db.session.rollback()
    asked = select(Activity.connection_id, Activity.detail).where(Activity.event == event)
    return [(row.connection_id, row.detail) for row in db.session.execute(asked.order_by(Activity.detail))]


def counted() -> tuple[int, int]:
    db.session.rollback()
    values = counters.values()
    db.session.rollback()
    return values["residue_found"], values["residue_unread"]


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.levelname for each in caplog.records if each.name == "portal.watch"]


def test_it_works(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    """Twice the same in one place is one note; what the second look does not find any more was mended."""
    gone, left = find("keys.db", "destroyed data key", OWNER), find("main.db")
    assert night(report(gone, gone, left), report(left)) == {"found": 3, "mended": 2, "unread": 0}
    assert recorded() == [
        (None, f"1 times {CLEAR}, in main.db: still there"),
        (OWNER, "2 times destroyed data key, in keys.db: mended"),
    ]
    assert counted() == (3, 0)
    assert alarms(caplog) == ["CRITICAL"]


def test_what_was_mended_wakes_nobody(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    assert night(report(find("keys.db")), report()) == {"found": 1, "mended": 1, "unread": 0}
    assert alarms(caplog) == []


def test_what_is_bounded_is_recorded_and_nothing_is_rewritten_for_it(
    night: Night, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parts().vault, "scour", lambda: pytest.fail("nothing is to be mended"))
    assert night(report(find("0001", bounded=True))) == {"found": 0, "mended": 0, "unread": 0}
    assert recorded() == [(None, f"1 times {CLEAR}, in 0001: {watch_files.BOUNDED}")]
    assert (counted(), alarms(caplog)) == ((0, 0), [])


def test_finds_that_the_report_only_counts_are_found(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond a limit a report keeps no more of them: a flood must not look like less."""
    assert night(report(more=5), report(more=2)) == {"found": 5, "mended": 3, "unread": 0}
    assert recorded() == [
        (None, "2 times more, in (not kept): still there"),
        (None, "3 times more, in (not kept): mended"),
    ]
    assert (counted(), alarms(caplog)) == ((5, 0), ["CRITICAL"])


def test_when_the_second_look_fails_nothing_counts_as_mended(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    assert night(report(find("main.db", owner=OWNER)), LOST) == {"found": 1, "mended": 0, "unread": 0}
    assert recorded() == [(OWNER, f"1 times {CLEAR}, in main.db: still there")]
    assert recorded("watch:unread") == [(None, "the look was not taken: TimeoutExpired")]
    assert (counted(), alarms(caplog)) == ((1, 1), ["ERROR", "CRITICAL"])


def test_a_night_that_could_not_look_is_no_clean_one(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    assert night(LOST) == {"found": 0, "mended": 0, "unread": 1}
    assert (counted(), alarms(caplog)) == ((0, 1), ["ERROR"])


@pytest.mark.parametrize("command", [["printf", ""], ["printf", "no report"], ["printf", r"\377"], ["/nowhere"]])
def test_what_is_no_report_is_told_as_a_look_not_taken(
    world: World, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """As when our own settings are refused, or something prints where the report should stand."""
    monkeypatch.setattr(apart, "COMMAND", command)
    assert watch_files.watch_files() == {"found": 0, "mended": 0, "unread": 1}
    ((_nobody, detail),) = recorded("watch:unread")
    assert detail.startswith("the look was not taken: ")


def test_a_flood_of_kinds_is_recorded_in_part_and_counted_whole(night: Night) -> None:
    many = report(*(find(f"file {number:03}") for number in range(watch_files.RECORDED + 10)))
    assert night(many, many)["found"] == watch_files.RECORDED + 10
    assert len(recorded()) == watch_files.RECORDED
    assert counted() == (watch_files.RECORDED + 10, 0)


def test_long_and_odd_names_of_files_break_nothing(night: Night) -> None:
    """Names are bytes to the file system; the last part of a long one tells most."""
    long, odd = "x" * 500 + "/main.db-wal", "log\udcff\udcfe.txt"
    found = report(find(long), find(odd), find("main.db", "k" * 400), unread=(long, odd))
    assert night(found, found)["found"] == 3
    notes = [detail for _owner, detail in recorded() + recorded("watch:unread")]
    assert len(notes) == 4
    assert all(len(each) <= 300 for each in notes)
    assert {f"1 times {CLEAR}, in {name}: still there" for name in (long[-120:], "log??.txt")} <= set(notes)
    assert f"2 places could not be read, the first: {long[-120:]}: locked" in notes
    assert counted() == (3, 1)

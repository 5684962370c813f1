"""From the click to the confirmation, one at a time: how long, and how much of it is the price of never losing it."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Meeting, Member, Placement
from portal.workflows import push, sync
from tests.bench.towns import measured, table
from tests.kill.processes import until
from tests.kill.town import Town

PER_CALL = 0.1  # seconds that Microsoft takes, where it takes its time
MANY = 12  # meetings of ours in the person's calendar, which they want removed
AT_ONCE = 4  # calls that Microsoft allows a mailbox at a time
BOUND = 1.25


@dataclass(frozen=True)
class Click:
    """One disconnection: seconds in all, seconds of them in commits, commits, and calls to Microsoft."""

    seconds: float
    committing: float
    commits: int
    calls: int


def measure(samples: int) -> bool:
    """Print the figures of both databases; whether every bound is kept."""
    kept = [_of(kind, samples) for kind in ("sqlite", "postgresql")]
    return all(kept)


def _of(kind: str, samples: int) -> bool:
    with measured(kind) as town:
        town.sandbox()
        town.web(engine=True, planned=True)
        town.settle(1)
        _click(town)  # the first one warms up
        prompt = [_click(town) for _ in range(samples)]
        slow = [_click(town, per_call=PER_CALL) for _ in range(max(3, samples // 3))]
        _plan_meetings(town)
        many = [_click(town, per_call=PER_CALL, remove_meetings=True) for _ in range(2)]
    at_once, taking_time, with_many = map(_median, (prompt, slow, many))
    share = statistics.median(each.committing / each.seconds for each in prompt)
    calls, path = slow[0].calls, slow[0].calls + math.ceil((many[0].calls - slow[0].calls) / AT_ONCE)
    bounds = BOUND * calls * PER_CALL + at_once, BOUND * path * PER_CALL + at_once
    table(
        f"Click to confirmation on {kind}, engine in the web process (medians; {samples} clicks)",
        ("Microsoft answers", "seconds", "at most", "calls", "on the path", "commits", "share of commits"),
        ("at once", at_once, "-", prompt[0].calls, prompt[0].calls, prompt[0].commits, f"{share:.0%}"),
        (f"in {PER_CALL * 1000:.0f} ms", taking_time, bounds[0], calls, calls, slow[0].commits, "-"),
        (f"so, {MANY} meetings to remove", with_many, bounds[1], many[0].calls, path, many[0].commits, "-"),
    )
    return _kept("100 ms per call", taking_time, bounds[0]) & _kept("many meetings", with_many, bounds[1])


def _median(clicks: list[Click]) -> float:
    return statistics.median(click.seconds for click in clicks)


def _kept(what: str, seconds: float, bound: float) -> bool:
    if seconds > bound:
        print(f"  MISSED: {what}: {seconds:.2f} s is more than {bound:.2f} s")
    return seconds <= bound


def _click(town: Town, *, per_call: float = 0.0, remove_meetings: bool = False) -> Click:
    person = town.people[0]
    (connection_id,) = town.connect(person)
    if remove_meetings:
        _write_them(town, connection_id)
    town.microsoft.desk("DELETE", "calls")
    if per_call:
        town.microsoft.breaks("delay", "all", delay=per_call, times=None)
    began = time.monotonic()
    assert person.click(town.url, connection_id, meetings="remove" if remove_meetings else "keep") in (200, 303)
    until(lambda: not town.unfinished(), "the confirmation", within=60, every=0.01)
    ended = time.monotonic()
    town.microsoft.mend()
    calls = town.microsoft.desk("GET", "calls?limit=200")
    took = [
        float(seconds)
        for moment, seconds, thread in (line.split(" ", 2) for line in (town.plan / "commits").read_text().splitlines())
        if began <= float(moment) <= ended and thread.startswith(("dbos-executor", "ThreadPoolExecutor"))
    ]
    return Click(ended - began, sum(took), len(took), len(calls))


def _plan_meetings(town: Town) -> None:
    """Coming meetings of the one member there is."""
    with town.looking():
        member = db.session.scalars(select(Member)).one()
        for each in range(MANY):
            starts = clock.now() + timedelta(hours=each + 1)
            ends, owner = starts + timedelta(minutes=30), {"business_id": member.business_id, "organizer_id": member.id}
            db.session.add(Meeting(title=f"Review {each}", place="", starts_at=starts, ends_at=ends, **owner))
        db.session.commit()


def _write_them(town: Town, connection_id: str) -> None:
    """Have our meetings written into the person's calendar, as the next sync does once they have chosen one."""
    with town.looking():
        epoch = db.session.scalars(select(Connection.epoch).where(Connection.id == connection_id)).one()
        chosen = select(Calendar.id).where(Calendar.connection_id == connection_id, Calendar.is_default)
        push.choose(connection_id, epoch, db.session.scalars(chosen).one())
        sync.want(connection_id)
        placed = select(func.count()).where(Placement.connection_id == connection_id)

    def all_there() -> bool:
        with town.looking():
            return db.session.scalar(placed) == MANY

    until(all_there, "our meetings are in the calendar", within=60)

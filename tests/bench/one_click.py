"""From the click to the confirmation, one at a time: how long, and how much of it is the price of never losing it."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, field
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
ROUNDS = 3


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


@dataclass
class Pairs:
    """The same disconnection twice in a row, Microsoft answering at once and taking its time, again and again.

    Each pair is its own baseline: a machine that is busy for a while slows both halves of it.
    """

    prompt: list[Click] = field(default_factory=list)
    slow: list[Click] = field(default_factory=list)

    def more(self, town: Town, number: int, *, remove_meetings: bool = False) -> None:
        """Measure so many more pairs."""
        for _ in range(number):
            self.prompt.append(_click(town, remove_meetings=remove_meetings))
            self.slow.append(_click(town, per_call=PER_CALL, remove_meetings=remove_meetings))

    def on_top(self) -> float:
        """Seconds that Microsoft's taking its time costs."""
        return statistics.median(
            slow.seconds - prompt.seconds for prompt, slow in zip(self.prompt, self.slow, strict=True)
        )

    def calls(self) -> int:
        """How many calls one of them makes."""
        return round(statistics.median(click.calls for click in self.slow))


def _of(kind: str, samples: int) -> bool:
    with measured(kind) as town:
        town.sandbox()
        town.web(engine=True, planned=True)
        town.settle(1)
        _click(town)  # the first one warms up
        plain, many = Pairs(), Pairs()
        for _ in range(ROUNDS):  # what is missed in one round is judged again with more pairs
            plain.more(town, samples // 2)
            if plain.on_top() <= BOUND * plain.calls() * PER_CALL:
                break
        _plan_meetings(town)
        for _ in range(ROUNDS):
            many.more(town, max(3, samples // 4), remove_meetings=True)
            path = plain.calls() + math.ceil((many.calls() - plain.calls()) / AT_ONCE)
            if many.on_top() <= BOUND * path * PER_CALL:
                break
    share = statistics.median(each.committing / each.seconds for each in plain.prompt)
    slowly, bounds = f"{PER_CALL * 1000:.0f} ms each", (BOUND * plain.calls() * PER_CALL, BOUND * path * PER_CALL)
    table(
        f"Click to confirmation on {kind}, engine in the web process (medians; {len(plain.prompt)} pairs of clicks)",
        ("Microsoft answers", "seconds", "on top", "at most", "calls", "on the path", "commits", "share of commits"),
        ("at once", _median(plain.prompt), "-", "-", plain.calls(), "-", plain.prompt[0].commits, f"{share:.0%}"),
        (f"in {slowly}", _median(plain.slow), plain.on_top(), bounds[0], plain.calls(), plain.calls(), "-", "-"),
        (f"at once, {MANY} meetings to remove", _median(many.prompt), "-", "-", many.calls(), "-", "-", "-"),
        (f"in {slowly}, so many", _median(many.slow), many.on_top(), bounds[1], many.calls(), path, "-", "-"),
    )
    kept = _kept("100 ms per call", plain.on_top(), bounds[0])
    return _kept("many meetings", many.on_top(), bounds[1]) and kept


def _median(clicks: list[Click]) -> float:
    return statistics.median(click.seconds for click in clicks)


def _kept(what: str, seconds: float, bound: float) -> bool:
    print(f"  {'kept' if seconds <= bound else 'MISSED'}: {what}: {seconds / bound:.2f} of what is allowed")
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

"""Nothing stays undone: runs of dead processes, runs that nobody is at, and work of ours that has no run at all.

Every engine process looks around every few seconds. Whatever is started twice by mistake does no harm: every step may
run again, an outcome is written once, and the engine takes a run away from whoever had it before.
"""

from __future__ import annotations

import logging
from collections import defaultdict

from dbos import WorkflowStatus
from sqlalchemy import Engine

from portal import clock
from portal.db import db, reads_only
from portal.durable import executors, runs
from portal.durable.start import ALIVE, client, enqueue

logger = logging.getLogger("portal.durable")

OWED_EVERY = 3  # looks
LOOKS, LOOKS_SLOW, LOOKS_AT_MOST = 2, 15, 20
"""Looks, a heartbeat apart, after which a claimed run that nobody here is at counts as lost: usually, while runs are
being begun or ended, and at most."""
GRACE = 3 * executors.HEARTBEAT  # seconds in which the others may show themselves after we were away ourselves
ROW_ID = 32  # a run's id begins with the id of the row that it is for (see `portal.db.new_id`)


class Look:
    """What one process remembers from one look around to the next."""

    def __init__(self, engine: Engine, me: str) -> None:
        self._engine, self._me = engine, me
        self._idle: dict[str, int] = {}  # run to the number of looks in which nobody here was at it
        self._begun = set[str]()  # runs that somebody here was at
        self._lacking: dict[str, set[str]] = defaultdict(set)
        self._looks = 0
        self._doubt = 1  # so many times longer a run is waited for: it grows when some were called lost, and goes again
        self._last = self._trust_from = 0.0

    def around(self, now: float) -> None:
        """Look once; `now` is a monotonic time."""
        if self._last and now - self._last > GRACE:
            self.missed(now)  # we were stopped or asleep: as far as we can tell everybody else was
        began = clock.monotonic()
        pending = client().list_workflows(status="PENDING", load_input=False, load_output=False)
        took = clock.monotonic() - began
        if took > GRACE:
            self.missed(now + took)
        if pending and now + took >= self._trust_from:
            living = executors.living(self._engine) | {self._me}
            resume([run for run in pending if run.executor_id not in living])
        self._resume_idle(pending)
        self._looks += 1
        if self._looks % OWED_EVERY == 1:
            for name, ask in runs.owing.items():
                with reads_only():
                    rows = ask()
                    db.session.rollback()
                self._start_owed(name, rows)
        self._last = now + clock.monotonic() - began  # a look that takes long is no sleep

    def missed(self, now: float) -> None:
        """The database was away, perhaps for everybody: nobody is called dead before they could show a sign again."""
        self._trust_from = now + GRACE

    def _resume_idle(self, pending: list[WorkflowStatus]) -> None:
        """Runs that this process claimed but is not at: the database was lost in the middle of the claim.

        One that has just begun or ended looks the same for a moment, so it takes two looks to tell. Hundreds that were
        claimed at once are begun one after the other, which can take longer than that: as long as some of the waiting
        have begun since the last look the others keep their turn, though not for ever. So does one whose end the engine
        has still to write down, behind hundreds of other writers. Each time that some were called lost the next ones
        are given twice as long: where all is merely slow, to claim them anew makes it slower still.
        """
        at_work = runs.at_work()
        ours = {run.workflow_id: run for run in pending if run.executor_id == self._me}
        being_begun = bool(self._idle.keys() & at_work)
        self._idle = {each: self._idle.get(each, 0) + 1 for each in ours if each not in at_work}
        self._begun = (self._begun & ours.keys()) | at_work | runs.ended_lately()
        slow = self._idle.keys() if being_begun else self._begun
        lost = {each for each, looks in self._idle.items() if looks >= self._enough(is_slow=each in slow)}
        resume([ours[each] for each in lost])
        if lost:
            self._doubt = min(self._doubt * 2, LOOKS_AT_MOST)
        elif not self._idle:
            self._doubt = max(self._doubt // 2, 1)
        # Once back in their queue we may claim them again, and then their time begins anew.
        self._idle = {each: looks for each, looks in self._idle.items() if each not in lost}
        self._begun -= lost

    def _enough(self, *, is_slow: bool) -> int:
        """How many looks in a row make a run a lost one."""
        return min(self._doubt * (LOOKS_SLOW if is_slow else LOOKS), LOOKS_AT_MOST)

    def _start_owed(self, name: str, rows: list[str]) -> None:
        """Give rows that are owed a run, and have none in two looks, one again.

        The minute is part of the run's id: however many processes notice, one run is started, and one that breaks at
        once is not tried more often than that.
        """
        lacking = set(rows) - attended(name) if rows else set()
        again = sorted(lacking & self._lacking[name])
        self._lacking[name] = lacking
        if not again:
            return
        logger.warning("starting %d %s runs again: they were owed, and no run was there", len(again), name)
        minute = int(clock.now().timestamp() // 60)
        for row in again:
            enqueue(db.session(), name, row, f"{row}.again-{minute}")
        db.session.commit()


def resume(orphans: list[WorkflowStatus]) -> None:
    """Put runs back into the queues that they came from; every recorded step of theirs stays done."""
    queues: dict[str | None, list[str]] = defaultdict(list)
    for run in orphans:
        queues[run.queue_name].append(run.workflow_id)
    for queue, ids in queues.items():
        logger.warning("taking over %d runs that nobody is at", len(ids))
        client().resume_workflows(ids, queue_name=queue)


def attended(name: str) -> set[str]:
    """The rows for which a run of this kind is waiting or at work."""
    alive = client().list_workflows(name=name, status=ALIVE, load_input=False, load_output=False)
    return {run.workflow_id[:ROW_ID] for run in alive}

"""The durable engine (DBOS Transact): runs that survive a kill, queues, schedules, take-over from a dead process.

Only ids go into the engine and nothing comes out: it stores arguments, results and exception texts. Our own rows are
the truth that pages show; the engine drives them. https://docs.dbos.dev

    runs.py       declare a run, do its steps, wait
    places.py     so many runs at work, the others in a row
    start.py      start and wake runs, in the caller's own transaction
    process.py    the engine inside this process: launch, signs of life, shut down
    executors.py  which processes live
    takeover.py   what nobody is at, and how it gets going again
    forget.py     runs that ended long ago
"""

from portal.durable.forget import forget_runs
from portal.durable.process import launch, leave, shut_down
from portal.durable.runs import StepBroke, every, is_away, owed, pause, run, step
from portal.durable.start import enqueue, migrate, nudge

__all__ = [
    "StepBroke",
    "enqueue",
    "every",
    "forget_runs",
    "is_away",
    "launch",
    "leave",
    "migrate",
    "nudge",
    "owed",
    "pause",
    "run",
    "shut_down",
    "step",
]

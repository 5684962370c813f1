"""Declare durable runs, do their steps, wait in them."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar, cast

from dbos import DBOS
from flask import Flask, current_app, has_app_context
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from portal import clock
from portal.durable.places import Places

logger = logging.getLogger("portal.durable")

AT_ONCE = 16
"""Runs of one kind at work in one process, the engine's own writing for them included. The others wait for a place:
hundreds of threads that work at once keep each other from the processor and the database, until nothing gets done. A
run that pauses takes no place; one that waits for the database keeps its own, for the others would wait for it too."""
INSIST = 120.0  # seconds that one step waits for a database that is away

Run = Callable[[str], None]
T = TypeVar("T")

app: Flask | None = None  # the portal whose runs are at work in this process
leaving = threading.Event()
schedules: list[tuple[str, str, Callable[[datetime, Any], None]]] = []
owing: dict[str, Callable[[], list[str]]] = {}

_here = threading.local()
_lock = threading.Lock()
_at_work: Counter[str] = Counter()
_ended: set[str] = set()


class StepBroke(Exception):
    """A step failed for a reason of ours. Only the kind of error is told: the engine would store its text."""


class DatabaseAway(StepBroke):
    """The database could not be reached in the middle of a step: nothing is known to be wrong with the step."""


class Leaving(BaseException):
    """This process is going away. The engine records no outcome then, so that another process resumes the run."""


def run(name: str) -> Callable[[Run], Run]:
    """Declare a durable run. Its one argument is the id of a row; it may be started again at any point.

    The engine runs it under `name`; called by itself it is an ordinary function.
    """

    def declare(function: Run) -> Run:
        places = Places(AT_ONCE)

        @functools.wraps(function)
        def durably(row_id: str) -> None:
            with _working(places):
                function(row_id)

        DBOS.workflow(name=name, max_recovery_attempts=None)(durably)
        return function

    return declare


def every(name: str, cron: str) -> Callable[[Callable[[], T]], Callable[[], T]]:
    """Declare a function that runs by the clock (cron, UTC), once for all processes together."""

    def declare(function: Callable[[], T]) -> Callable[[], T]:
        places = Places(1)

        def quietly(_id: str) -> None:
            function()  # what it returns is for commands and tests; the engine would store it

        def tick(_at: datetime, _context: Any) -> None:
            with _working(places):
                step(quietly, name, label=name)

        schedules.append((name, cron, DBOS.workflow(name=f"every:{name}", max_recovery_attempts=None)(tick)))
        return function

    return declare


def owed(name: str) -> Callable[[Callable[[], list[str]]], Callable[[], list[str]]]:
    """Declare how to find the rows that should have a run of this name right now. One without is given one."""

    def declare(function: Callable[[], list[str]]) -> Callable[[], list[str]]:
        owing[name] = function
        return function

    return declare


def step(function: Callable[[str], T], row_id: str, *, label: str = "") -> T:
    """Do one step of a run in a database session of its own; within a durable run it is recorded and not repeated.

    `function` may return only None, numbers, booleans or ids. Within a run it is done again until the database is
    there; outside the engine (tests, commands) it simply runs.
    """
    name = label or function.__name__
    if DBOS.workflow_id is None:
        return _do(function, row_id, name)
    return DBOS.run_step({"name": name}, functools.partial(_insist, function, row_id, name))


def pause(seconds: float, topic: str = "") -> None:
    """Wait durably: a kill neither shortens nor lengthens it. A `nudge` on `topic` ends the wait early.

    Whoever was nudged goes on before all that wait for a place: somebody sits before it.
    """
    if seconds <= 0:
        return
    if DBOS.workflow_id is None:
        time.sleep(seconds)
        return
    hurried = True  # what goes wrong in here has only to get out
    _here.places.give()
    try:
        if topic:
            hurried = DBOS.recv(topic, timeout_seconds=seconds) is not None
        else:
            DBOS.sleep(seconds)
            hurried = False
    finally:
        _here.places.take(hurried=hurried)
    if leaving.is_set():
        raise Leaving


def is_away(error: BaseException) -> bool:
    """Whether this says that the database could not be reached, was lost or was busy: the work itself is sound."""
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return True
    return isinstance(error, DBAPIError) and error.connection_invalidated


def at_work() -> set[str]:
    """The runs that threads of this process are at."""
    with _lock:
        return set(_at_work)


def ended_lately() -> set[str]:
    """The runs that threads of this process have left since this was asked last: the engine may not know it yet."""
    with _lock:
        ended = set(_ended)
        _ended.clear()
        return ended


def application() -> Flask:
    """The portal at hand: that of the current context, else the one this process was launched with."""
    if has_app_context():
        return cast(Any, current_app)._get_current_object()  # type: ignore[no-any-return]
    assert app is not None, "durable work outside of an application"
    return app


def _insist(function: Callable[[str], T], row_id: str, name: str) -> T:
    until, wait = clock.monotonic() + INSIST, 0.25
    while True:
        if leaving.is_set():
            raise Leaving
        try:
            return _do(function, row_id, name)
        except DatabaseAway as away:
            if clock.monotonic() > until:
                raise StepBroke(str(away)) from None
            logger.warning("step %s of %s waits for the database (%s)", name, row_id, away)
        leaving.wait(wait)
        wait = min(wait * 2, 4.0)


def _do(function: Callable[[str], T], row_id: str, name: str) -> T:
    with application().app_context():
        try:
            return function(row_id)
        except Exception as error:
            if is_away(error):
                raise DatabaseAway(type(error).__name__) from None
            logger.exception("step %s of %s broke", name, row_id)
            raise StepBroke(type(error).__name__) from None


@contextmanager
def _working(places: Places) -> Iterator[None]:
    """Note that this process is at the run, so that nobody here takes it for abandoned; then wait for a place."""
    run_id = DBOS.workflow_id or ""
    _here.places = places
    with _lock:
        _at_work[run_id] += 1
    try:
        places.take()
        try:
            if leaving.is_set():
                raise Leaving
            yield
        finally:
            places.give()
    finally:
        with _lock:
            _ended.add(run_id)
            _at_work[run_id] -= 1
            if not _at_work[run_id]:
                del _at_work[run_id]

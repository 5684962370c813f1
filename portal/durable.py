"""The durable engine (DBOS Transact): runs that survive a kill, queues, schedules, take-over from a dead process.

Only ids go into the engine and nothing comes out: it stores arguments, results and exception texts. Our own rows are
the truth that pages show; the engine drives them. https://docs.dbos.dev
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import psutil
from dbos import DBOS, DBOSClient, DBOSConfig
from flask import Flask, current_app, has_app_context
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from portal import clock
from portal.db import db, make_engine
from portal.models.executor import Executor

logger = logging.getLogger("portal.durable")

NAME = "coordinoter"
VERSION = "1"  # pinned: a deploy must not strand the runs of the version before it
HEARTBEAT = 3.0  # seconds between two signs of life
DEAD_AFTER = timedelta(seconds=20)  # of silence; on our own machine a missing process is dead at once

Run = Callable[[str], None]
T = TypeVar("T")

_app: Flask | None = None
_schedules: list[tuple[str, str, Callable[[datetime, Any], None]]] = []
_stop = threading.Event()


class StepBroke(Exception):
    """A step failed for a reason of ours. Only the kind of error is told: the engine would store its text."""


def run(name: str) -> Callable[[Run], Run]:
    """Declare a durable run. Its one argument is the id of a row; it may be started again at any point.

    The engine runs it under `name`; called by itself it is an ordinary function.
    """

    def declare(function: Run) -> Run:
        DBOS.workflow(name=name, max_recovery_attempts=None)(function)
        return function

    return declare


def every(name: str, cron: str) -> Callable[[Callable[[], T]], Callable[[], T]]:
    """Declare a function that runs by the clock (cron, UTC), once for all processes together."""

    def declare(function: Callable[[], T]) -> Callable[[], T]:
        def quietly(_id: str) -> None:
            function()  # what it returns is for commands and tests; the engine would store it

        def tick(_at: datetime, _context: Any) -> None:
            step(quietly, name, label=name)

        _schedules.append((name, cron, DBOS.workflow(name=f"every:{name}", max_recovery_attempts=None)(tick)))
        return function

    return declare


def step(function: Callable[[str], T], row_id: str, *, label: str = "") -> T:
    """Do one step of a run in a database session of its own; within a durable run it is recorded and not repeated.

    `function` may return only None, numbers, booleans or ids. Outside the engine (tests, commands) it simply runs.
    """

    def inside() -> T:
        with _application().app_context():
            try:
                return function(row_id)
            except Exception as error:
                logger.exception("step %s of %s broke", label or function.__name__, row_id)
                raise StepBroke(type(error).__name__) from None

    if DBOS.workflow_id is None:
        return inside()
    return DBOS.run_step({"name": label or function.__name__}, inside)


def pause(seconds: float, topic: str = "") -> None:
    """Wait durably: a kill neither shortens nor lengthens it. A `nudge` on `topic` ends the wait early."""
    if seconds <= 0:
        return
    if DBOS.workflow_id is None:
        time.sleep(seconds)
    elif topic:
        DBOS.recv(topic, timeout_seconds=seconds)
    else:
        DBOS.sleep(seconds)


def enqueue(session: Session, name: str, row_id: str, *, run_id: str = "") -> None:
    """Start a durable run in the caller's own transaction: it exists if, and only if, that commits.

    The same `run_id` twice is one run.
    """
    options: Any = {"workflow_name": name, "queue_name": name, "app_version": VERSION}
    if run_id:
        options["workflow_id"] = run_id
    _client().enqueue_in_transaction(session, options, row_id)


def nudge(session: Session, run_id: str, topic: str) -> None:
    """Wake a run that pauses on `topic`, as part of the caller's transaction."""
    _client().send_in_transaction(session, run_id, True, topic)


def migrate(database_url: str) -> None:
    """Create or update the engine's own tables."""
    DBOS.migrate(database_url)


def launch(app: Flask, *, queues: tuple[str, ...] = ("disconnect", "sync")) -> None:
    """Start the engine inside this process."""
    global _app
    _app = app
    _stop.clear()
    me = f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"
    config: DBOSConfig = {
        "name": NAME,
        "system_database_engine": make_engine(app.config["SQLALCHEMY_DATABASE_URI"], for_durable=True),
        "application_version": VERSION,
        "executor_id": me,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": 0.2,
        "scheduler_polling_interval_sec": 5.0,
    }
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS(config=config)
    DBOS.launch()
    for queue in queues:
        DBOS.register_queue(queue, worker_concurrency=16, polling_interval_sec=0.1)
    DBOS.apply_schedules(
        [{"schedule_name": name, "workflow_fn": tick, "schedule": cron} for name, cron, tick in _schedules]
    )
    threading.Thread(target=_beat, args=(app, me), name="heartbeat", daemon=True).start()


def shut_down(*, wait: int = 5) -> None:
    """Stop the engine, giving its running work `wait` seconds to finish; what does not, is resumed later."""
    global _app
    _stop.set()
    DBOS.destroy(workflow_completion_timeout_sec=wait)
    _app = None


def take_over() -> list[str]:
    """Resume the runs of dead processes; returns their ids. Safe when wrong: every step may run again."""
    host = socket.gethostname()
    with db.session.begin():
        rows = db.session.scalars(select(Executor)).all()
        living = {row.id for row in rows if _lives(row, host)}
        db.session.execute(delete(Executor).where(Executor.seen_at < clock.now() - timedelta(days=1)))
    left = [run for run in DBOS.list_workflows(status="PENDING", load_input=False) if run.executor_id not in living]
    ids = [run.workflow_id for run in left]
    if ids:
        logger.warning("taking over %d runs from processes that died", len(ids))
        DBOS.resume_workflows(ids)
    return ids


def _beat(app: Flask, me: str) -> None:
    while not _stop.is_set():
        try:
            with app.app_context():
                with db.session.begin():
                    db.session.merge(Executor(id=me, seen_at=clock.now()))
                take_over()
        except Exception:
            logger.exception("the heartbeat missed a beat")
        _stop.wait(HEARTBEAT)


def _lives(row: Executor, host: str) -> bool:
    name, pid, started = row.id.rsplit(":", 2)
    if name == host:
        try:
            return abs(psutil.Process(int(pid)).create_time() - float(started)) < 2
        except psutil.NoSuchProcess:
            return False
    return row.seen_at > clock.now() - DEAD_AFTER


def _application() -> Flask:
    if has_app_context():
        return cast(Any, current_app)._get_current_object()  # type: ignore[no-any-return]
    assert _app is not None, "durable work outside of an application"
    return _app


def _client() -> DBOSClient:
    app = _application()
    if "durable" not in app.extensions:
        # The engine's rows are written through the caller's session; this engine is only for the client's own look-ups.
        app.extensions["durable"] = DBOSClient(
            system_database_engine=make_engine(app.config["SQLALCHEMY_DATABASE_URI"], for_durable=True),
            application_name=NAME,
            lazy=True,
        )
    client: DBOSClient = app.extensions["durable"]
    return client

"""The engine inside this process: launch it, show signs of life, look around for what nobody is at, shut down."""

from __future__ import annotations

import logging
import os
import threading
import time

from dbos import DBOS, DBOSConfig
from flask import Flask
from sqlalchemy import Engine

from portal import clock
from portal.db import make_engine
from portal.durable import executors, runs, takeover
from portal.durable.start import NAME, VERSION

logger = logging.getLogger("portal.durable")

LOOKS = {"disconnect": 0.1}
"""Seconds between two looks for new runs: somebody sits before a disconnection. Each look costs work, idle or not."""
LOOK = 0.5  # for the others

RUNS = 500  # runs of one kind begun in one process: a thread each, most of them waiting


class Patient(logging.Filter):
    """Let each complaint of the engine's queues through once a minute: without a database they complain ten times a
    second each."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[int, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is news."""
        if record.module != "_queue":
            return True
        now = clock.monotonic()
        if now - self._last.get(record.lineno, -60.0) < 60:
            return False
        self._last[record.lineno] = now
        return True


def launch(app: Flask, *, queues: tuple[str, ...] = ("disconnect", "sync")) -> None:
    """Start the engine inside this process, as soon as the database is there."""
    runs.app = app
    runs.leaving.clear()
    url, me = app.config["SQLALCHEMY_DATABASE_URI"], executors.me()
    pulse = make_engine(url)  # connections of its own: a sign of life must not queue behind a busy portal
    _first_beat(pulse, me)
    config: DBOSConfig = {
        "name": NAME,
        "system_database_engine": make_engine(url, for_durable=True),
        "application_version": VERSION,
        "executor_id": me,
        "log_level": "WARNING",
        "notification_listener_polling_interval_sec": 0.2,
        "scheduler_polling_interval_sec": 5.0,
    }
    logging.getLogger("dbos").setLevel(logging.WARNING)
    logging.getLogger("dbos").addFilter(Patient())
    DBOS(config=config)
    DBOS.launch()
    for queue in queues:
        DBOS.register_queue(queue, worker_concurrency=RUNS, polling_interval_sec=LOOKS.get(queue, LOOK))
    DBOS.apply_schedules(
        [{"schedule_name": name, "workflow_fn": tick, "schedule": cron} for name, cron, tick in runs.schedules]
    )
    threading.Thread(target=_beat, args=(pulse, me), name="heartbeat", daemon=True).start()
    threading.Thread(target=_look_around, args=(app, pulse, me), name="takeover", daemon=True).start()


def shut_down(*, wait: int = 5) -> None:
    """Stop the engine. A step at work has `wait` seconds to finish; what does not, another process resumes."""
    if runs.app is None or runs.leaving.is_set():
        return
    runs.leaving.set()
    DBOS.destroy(workflow_completion_timeout_sec=wait)
    pulse = make_engine(runs.app.config["SQLALCHEMY_DATABASE_URI"])
    try:
        executors.leave(pulse, executors.me())
    except Exception as error:
        logger.warning("could not say goodbye (%s); the others will notice the silence", type(error).__name__)
    finally:
        pulse.dispose()


def leave(*, wait: int = 5) -> None:
    """Shut down and end this process, even if a run pauses in a thread that Python would wait for."""
    shut_down(wait=wait)
    if runs.at_work():
        logging.shutdown()
        os._exit(0)


def _first_beat(pulse: Engine, me: str) -> None:
    """Be known before any run is ours, else another process would take it away. Waits for a database that is away."""
    while True:
        try:
            return executors.beat(pulse, me)
        except Exception as error:
            if not runs.is_away(error):
                raise
            logger.warning("the durable engine waits for the database (%s)", type(error).__name__)
            time.sleep(1)


def _beat(pulse: Engine, me: str) -> None:
    while not runs.leaving.wait(executors.HEARTBEAT):
        try:
            executors.beat(pulse, me)
        except Exception as error:
            logger.warning("the heartbeat missed a beat (%s)", type(error).__name__)


def _look_around(app: Flask, pulse: Engine, me: str) -> None:
    look = takeover.Look(pulse, me)
    while not runs.leaving.is_set():
        try:
            with app.app_context():
                look.around(clock.monotonic())
        except Exception as error:
            look.missed(clock.monotonic())
            logger.warning("could not look around (%s)", type(error).__name__)
        runs.leaving.wait(executors.HEARTBEAT)

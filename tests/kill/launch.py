"""Start a web or worker process that kills (or stops) itself at chosen instants of chosen disconnections.

    python -m tests.kill.launch PLAN web --bind 127.0.0.1:8000 ...
    python -m tests.kill.launch PLAN worker
    python -m tests.kill.launch PLAN worker-elsewhere      (which believes that it runs on another machine)
    python -m tests.kill.launch PLAN worker-drops-claim    (which loses the first run it claims)

PLAN is a folder. A file `<connection id>` in it holds `<step> <when> <signal>`; the process that comes to that instant
renames the file to `<connection id>.fired` and sends itself the signal. The product is wrapped here and knows nothing
of it. `when` is one of: `before` the step's effect; `after` it, its outcome not noted yet; `locked`, in the middle of
noting it; `noted`, when only the engine has not noted it yet. A file `subscribe` or `write_event` holding
`answer after <signal>` is for the instant between Microsoft's answer to that call, whoever makes it, and our own note.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from portal import create_app  # noqa: F401 - the whole product is imported before it is wrapped
from portal.db import db
from portal.durable import executors
from portal.providers.outlook.outlook import OutlookProvider
from portal.workflows import carry_out, disconnect

PLAN = Path(sys.argv[1])


def die_if_planned(connection_id: str, step: str, when: str) -> None:
    """The end, if this is the instant. Renaming is atomic: it comes once, in one process."""
    plan = PLAN / connection_id
    try:
        planned, at, how = plan.read_text().split()
        if (planned, at) != (step, when):
            return
        plan.rename(plan.with_suffix(".fired"))
    except FileNotFoundError:
        return
    os.kill(os.getpid(), getattr(signal, how))


def wrap_the_click() -> None:
    """`stop_syncing` is the fence itself: its effect is the click's transaction."""
    begin = disconnect.begin

    @functools.wraps(begin)
    def clicked(connection_id: str, *args: Any, **more: Any) -> Any:
        die_if_planned(connection_id, "stop_syncing", "before")
        begun = begin(connection_id, *args, **more)
        die_if_planned(connection_id, "stop_syncing", "after")
        return begun

    disconnect.begin = clicked


def wrap_the_steps() -> None:
    """Around what keeps the step, and around the noting of its outcome."""
    for name, step in list(disconnect.BY_NAME.items()):
        disconnect.BY_NAME[name] = replace(step, keep=around(step.name, step.keep))
    note_end = carry_out._note_end

    def noted(disconnection_id: str, name: str, ended: Any) -> None:
        carry_out._row(disconnection_id, name)  # holds its lock
        connection_id = carry_out.Work(disconnection_id).row().connection_id
        die_if_planned(connection_id, name, "locked")
        note_end(disconnection_id, name, ended)
        die_if_planned(connection_id, name, "noted")

    carry_out._note_end = noted


def around(name: str, keep: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def kept(work: Any) -> Any:
        connection_id = work.row().connection_id
        db.session.rollback()
        die_if_planned(connection_id, name, "before")
        ended = keep(work)
        die_if_planned(connection_id, name, "after")
        return ended

    return kept


def wrap_the_answers() -> None:
    """Around the calls that make something at Microsoft."""
    for name in ("subscribe", "write_event"):
        setattr(OutlookProvider, name, answered(name, getattr(OutlookProvider, name)))


def answered(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def made(*anything: Any) -> Any:
        answer = call(*anything)
        die_if_planned(name, "answer", "after")
        return answer

    return made


def drop_the_first_claim() -> None:
    """As when the database is lost between claiming a run and beginning it: claimed, and nobody is at it."""
    import dbos._queue

    begin = dbos._queue.execute_dequeued_workflow
    dropped: list[Any] = []

    def begin_all_but_one(*args: Any) -> Any:
        if not dropped:
            dropped.append(args)
            raise ConnectionError("dropped by the test")
        return begin(*args)

    dbos._queue.execute_dequeued_workflow = begin_all_but_one


def main() -> None:
    wrap_the_click()
    wrap_the_steps()
    wrap_the_answers()
    kind, more = sys.argv[2], sys.argv[3:]
    if kind == "worker-elsewhere":
        executors.machine = lambda: "elsewhere~000000000000"
    if kind == "worker-drops-claim":
        drop_the_first_claim()
    if kind == "web":
        from gunicorn.app.wsgiapp import run

        sys.argv = ["gunicorn", "wsgi:app", *more]
        run()
    else:
        from flask.cli import main as flask

        sys.argv = ["flask", "--app", "wsgi", "worker", *more]
        flask()


if __name__ == "__main__":
    main()

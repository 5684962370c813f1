"""Start a web or worker process of which the bench can see inside: every commit is timed, and there are empty runs.

    python -m tests.bench.launch FOLDER web --bind 127.0.0.1:8000 ...
    python -m tests.bench.launch FOLDER worker

Each commit becomes a line of FOLDER/commits: the moment (monotonic), the seconds it took, the thread's name.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from sqlalchemy.engine.default import DefaultDialect

from portal import create_app as _whole_product  # noqa: F401
from portal import durable

NOTHING = "nothing"


@durable.run(NOTHING)
def do_nothing(row_id: str) -> None:
    """Nine steps that do nothing: the engine's own ceiling."""
    for number in range(9):
        durable.step(lambda _row: None, row_id, label=f"nothing {number}")


def time_commits(log: Path) -> None:
    """Note how long each commit takes, whoever makes it."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    commit = DefaultDialect.do_commit

    def timed(self: DefaultDialect, connection: Any) -> None:
        began = time.monotonic()
        commit(self, connection)
        now = time.monotonic()
        os.write(file, f"{now:.6f} {now - began:.6f} {threading.current_thread().name}\n".encode())

    DefaultDialect.do_commit = timed  # type: ignore[method-assign]


def main() -> None:
    folder, kind, *more = sys.argv[1:]
    if kind == "web":
        from gunicorn.app.wsgiapp import run

        time_commits(Path(folder) / "commits")
        sys.argv = ["gunicorn", "wsgi:app", *more]
        run()
    else:
        from flask.cli import main as flask

        launch = durable.launch
        durable.launch = lambda app: launch(app, queues=("disconnect", "sync", NOTHING))
        sys.argv = ["flask", "--app", "wsgi", "worker"]
        flask()


if __name__ == "__main__":
    main()

"""Start and wake durable runs in the caller's own transaction, and look them up."""

from __future__ import annotations

import threading
from typing import Any

from dbos import DBOS, DBOSClient
from sqlalchemy.orm import Session

from portal.db import make_engine, new_id
from portal.durable.runs import application

NAME = "coordinoter"
VERSION = "1"  # pinned for ever: a deploy must not strand the runs of the version before it
ALIVE = ["PENDING", "ENQUEUED", "DELAYED"]

_lock = threading.Lock()


def enqueue(session: Session, name: str, row_id: str, run_id: str = "") -> None:
    """Start a durable run in the caller's own transaction: it exists if, and only if, that commits.

    The same `run_id` twice is one run. A run's id begins with its row's, so that the runs of a row can be found.
    """
    options: Any = {"workflow_name": name, "queue_name": name, "app_version": VERSION}
    options["workflow_id"] = run_id or f"{row_id}.{new_id()}"
    client().enqueue_in_transaction(session, options, row_id)


def nudge(session: Session, row_id: str, topic: str) -> None:
    """Wake the row's runs that pause on `topic`, as part of the caller's transaction."""
    runs = client().list_workflows(workflow_id_prefix=row_id, status=ALIVE, load_input=False, load_output=False)
    for each in runs:
        client().send_in_transaction(session, each.workflow_id, True, topic)


def migrate(database_url: str) -> None:
    """Create or update the engine's own tables."""
    DBOS.migrate(database_url)


def client() -> DBOSClient:
    """The engine's own client: work is started through the caller's session, its own connections only look runs up.

    A database that is away is told at once: the engine's usual way is to wait, for a minute and a half if need be.
    """
    app = application()
    with _lock:
        if "durable" not in app.extensions:
            app.extensions["durable"] = DBOSClient(
                system_database_engine=make_engine(app.config["SQLALCHEMY_DATABASE_URI"], for_durable=True),
                application_name=NAME,
                lazy=True,
                retry_connection_errors=False,
            )
    found: DBOSClient = app.extensions["durable"]
    return found

"""Two theatres, one on each database, each used for all plays of a file."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from portal import create_app, durable
from portal.db import db
from portal.parts import parts
from portal.workflows import intent, tokens
from tests.conftest import _at as at_server
from tests.conftest import make_settings
from tests.door import Door
from tests.race.locks import Locks, PostgresLocks, SqliteLocks
from tests.race.theatre import Theatre
from tests.world import Microsoft


@contextmanager
def _built(urls: tuple[str, str], door: Door, microsoft: Microsoft) -> Iterator[Flask]:
    settings = make_settings(*urls, door.url, microsoft.url)
    app = create_app(replace(settings, disconnect_deadline=600, retry_first=0.001, retry_longest=0.001))
    app.config["TESTING"] = True
    with app.app_context():
        for engine in (db.engine, parts().vault.engine):
            _does_not_wait_for_the_disk(engine)
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()
    if "durable" in app.extensions:
        app.extensions["durable"].destroy()


def _does_not_wait_for_the_disk(engine: Engine) -> None:
    """Nobody pulls the plug here (tests/kill does), and half of a play's time would be waiting for the disk."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        if engine.dialect.name == "sqlite":
            connection.execute("PRAGMA synchronous=OFF")
            connection.execute("PRAGMA busy_timeout=1000")  # actors queue for the lock (locks.py): who waits is lost
        else:
            connection.execute("SET synchronous_commit = off")
        connection.commit()

    engine.dispose()


@contextmanager
def _open(app: Flask) -> Iterator[Theatre]:
    """The house for one test: its context, its points, and nobody who really sleeps."""
    with app.app_context(), pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        url = app.extensions["settings"].database_url
        locks: Locks = SqliteLocks() if url.startswith("sqlite") else PostgresLocks(url)
        theatre = Theatre(app, locks)

        def begins(*_connection: Any) -> None:
            theatre.pause("begin")

        def commits(_session: Any) -> None:
            if theatre.inside:
                theatre.pause("commit")

        event.listen(db.engine, "checkout", begins)  # a connection for a transaction that has not begun yet
        stack.enter_context(locks.watching(db.engine))  # after that point
        event.listen(Session, "before_commit", commits)
        patch.setattr(tokens, "time", SimpleNamespace(sleep=lambda _seconds: theatre.pause("sleep")))
        patch.setattr(intent, "SETTLES", timedelta(0))  # else a disconnection waits for a thread whose turn never comes
        patch.setattr(durable, "pause", lambda _seconds, _topic="": theatre.pause("wait"))
        try:
            yield theatre
        finally:
            event.remove(Session, "before_commit", commits)
            event.remove(db.engine, "checkout", begins)
            db.session.rollback()


@pytest.fixture(scope="module")
def sqlite_house(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, door: Door, microsoft: Microsoft
) -> Iterator[Flask]:
    """A portal on SQLite."""
    folder = tmp_path_factory.mktemp("race")
    for name in ("main.db", "keys.db"):
        shutil.copy(sqlite_template / name, folder / name)
    with _built((f"sqlite:///{folder}/main.db", f"sqlite:///{folder}/keys.db"), door, microsoft) as app:
        yield app


@pytest.fixture(scope="module")
def postgresql_house(postgres_template: str, door: Door, microsoft: Microsoft) -> Iterator[Flask]:
    """A portal on PostgreSQL."""
    suffix = uuid.uuid4().hex[:10]
    names = {f"main_{suffix}": "t_main", f"keys_{suffix}": "t_keys"}
    with psycopg.connect(postgres_template, autocommit=True) as connection:
        for name, template in names.items():
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        main, keys = (at_server(postgres_template, name) for name in names)
        with _built((main, keys), door, microsoft) as app:
            yield app
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def on_sqlite(sqlite_house: Flask) -> Iterator[Theatre]:
    """The theatre on SQLite."""
    with _open(sqlite_house) as theatre:
        yield theatre


@pytest.fixture
def on_postgresql(postgresql_house: Flask) -> Iterator[Theatre]:
    """The theatre on PostgreSQL."""
    with _open(postgresql_house) as theatre:
        yield theatre


@pytest.fixture(params=["sqlite", "postgresql"])
def theatre(request: pytest.FixtureRequest) -> Theatre:
    """The theatre, once on each database."""
    found: Theatre = request.getfixturevalue(f"on_{request.param}")
    return found

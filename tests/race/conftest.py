"""Two theatres, one on each database, each used for all plays of a file."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal import create_app, durable
from portal.db import db
from portal.parts import parts
from portal.workflows import tokens
from tests.conftest import _at as at_server
from tests.conftest import make_settings
from tests.door import Door
from tests.race.theatre import Theatre
from tests.world import Microsoft


@contextmanager
def _built(urls: tuple[str, str], door: Door, microsoft: Microsoft) -> Iterator[Flask]:
    settings = make_settings(*urls, door.url, microsoft.url)
    app = create_app(replace(settings, disconnect_deadline=600, retry_first=0.001, retry_longest=0.001))
    app.config["TESTING"] = True
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()
    if "durable" in app.extensions:
        app.extensions["durable"].destroy()


@contextmanager
def _open(app: Flask) -> Iterator[Theatre]:
    """The house for one test: its context, its points, and nobody who really sleeps."""
    with app.app_context(), pytest.MonkeyPatch.context() as patch:
        theatre = Theatre(app)

        def begins(*_connection: Any) -> None:
            theatre.pause("begin")

        def commits(_session: Any) -> None:
            if theatre.inside:
                theatre.pause("commit")

        event.listen(db.engine, "checkout", begins)  # a connection for a transaction that has not begun yet
        event.listen(Session, "before_commit", commits)
        patch.setattr(tokens, "time", SimpleNamespace(sleep=lambda _seconds: theatre.pause("sleep")))
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder belongs to the long version: its plays need a quiet machine to be sure of their turns."""
    for item in items:
        if "race" in item.path.parts:
            item.add_marker(pytest.mark.long)

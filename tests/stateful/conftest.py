"""The machine with databases under it: a new pair for each life, the same pair after each restart."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from flask import Flask

from portal import create_app
from portal.db import db
from portal.parts import parts
from tests.conftest import _at as at_server
from tests.conftest import make_settings
from tests.door import Door
from tests.stateful.life import Life
from tests.world import Microsoft

Urls = Callable[[], tuple[str, str]]


@pytest.fixture(params=["sqlite", "postgresql"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Urls]:
    """Makes a new pair of databases each time it is asked."""
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")

        def copied() -> tuple[str, str]:
            folder = tmp_path / uuid.uuid4().hex
            folder.mkdir()
            for name in ("main.db", "keys.db"):
                shutil.copy(template / name, folder / name)
            return f"sqlite:///{folder}/main.db", f"sqlite:///{folder}/keys.db"

        yield copied
        return
    server: str = request.getfixturevalue("postgres_template")
    made: list[str] = []
    with psycopg.connect(server, autocommit=True) as connection:

        def created() -> tuple[str, str]:
            suffix = uuid.uuid4().hex[:10]
            for kind in ("main", "keys"):
                connection.execute(f"CREATE DATABASE {kind}_{suffix} TEMPLATE t_{kind}")
                made.append(f"{kind}_{suffix}")
            return at_server(server, f"main_{suffix}"), at_server(server, f"keys_{suffix}")

        yield created
        for name in made:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def life(urls: Urls, door: Door, microsoft: Microsoft) -> Iterator[type[Life]]:
    """The machine, with this test's databases under it."""

    def fresh() -> Callable[[], Flask]:
        chosen = replace(
            make_settings(*urls(), door.url, microsoft.url),
            disconnect_deadline=0.6,
            remote_timeout=15,
            retry_first=0.02,
            retry_longest=0.1,
        )

        def make() -> Flask:
            app = create_app(chosen)
            app.config["TESTING"] = True
            door.app = app
            return app

        return make

    def close(app: Flask) -> None:
        door.app = None
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()
        if "durable" in app.extensions:
            app.extensions["durable"].destroy()

    yield type(
        "Life",
        (Life,),
        {"fresh": staticmethod(fresh), "close": staticmethod(close), "microsoft": microsoft, "finished": 0},
    )
    microsoft.reset()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this folder belongs to the long version: its plays need a quiet machine to be sure of their turns."""
    for item in items:
        if "stateful" in item.path.parts:
            item.add_marker(pytest.mark.long)

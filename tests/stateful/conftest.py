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

COUNTS = {"lives": 0, "finished": 0, "interrupted": 0}
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
    suffix = uuid.uuid4().hex[:10]
    names = {f"{kind}_{suffix}": f"t_{kind}" for kind in ("main", "keys")}
    with psycopg.connect(server, autocommit=True) as connection:

        def created() -> tuple[str, str]:
            for name, template in names.items():
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
                connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
            main, keys = (at_server(server, name) for name in names)
            return main, keys

        yield created
        for name in names:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


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
        {"fresh": staticmethod(fresh), "close": staticmethod(close), "microsoft": microsoft, **COUNTS},
    )
    microsoft.reset()

"""Two worlds that all cells of a file share, one after the other: a new one each would take longer than the cell."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portal import create_app
from portal.db import db
from portal.parts import parts
from tests.conftest import _at as at_server
from tests.conftest import make_settings
from tests.door import Door
from tests.weather.cell import Place
from tests.weather.weathers import another_host
from tests.world import Microsoft, World


def _place(urls: tuple[str, str], door: Door, microsoft: Microsoft) -> Iterator[Place]:
    app = create_app(make_settings(*urls, door.url, microsoft.url))
    app.config["TESTING"] = True
    door.app = app
    with app.app_context(), another_host() as elsewhere:
        yield Place(World(app, microsoft), elsewhere)
        door.app = None
        microsoft.mend()
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()
    if "durable" in app.extensions:
        app.extensions["durable"].destroy()


@pytest.fixture(scope="module")
def on_sqlite(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory, door: Door, microsoft: Microsoft
) -> Iterator[Place]:
    """The world of one file's cells, on SQLite."""
    folder = tmp_path_factory.mktemp("weather")
    for name in ("main.db", "keys.db"):
        shutil.copy(sqlite_template / name, folder / name)
    yield from _place((f"sqlite:///{folder}/main.db", f"sqlite:///{folder}/keys.db"), door, microsoft)


@pytest.fixture(scope="module")
def on_postgresql(postgres_template: str, door: Door, microsoft: Microsoft) -> Iterator[Place]:
    """The world of one file's cells, on PostgreSQL."""
    suffix = uuid.uuid4().hex[:10]
    names = {f"main_{suffix}": "t_main", f"keys_{suffix}": "t_keys"}
    with psycopg.connect(postgres_template, autocommit=True) as connection:
        for name, template in names.items():
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        main, keys = (at_server(postgres_template, name) for name in names)
        yield from _place((main, keys), door, microsoft)
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

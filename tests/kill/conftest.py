"""Towns of real processes, on SQLite and on a PostgreSQL of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.kill.postgres import Postgres
from tests.kill.town import DEADLINE, Town

BuildTown = Callable[..., Town]


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that the tests of one file may kill."""
    server = Postgres()
    yield server
    server.close()


_numbers = itertools.count()


@pytest.fixture
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BuildTown]:
    """Build a town on `sqlite` or `postgresql`; every process of it is ended with the test, and shown if it failed."""
    towns: list[Town] = []
    databases: list[str] = []

    def make(kind: str, *, deadline: float = DEADLINE) -> Town:
        folder = tmp_path / f"town{next(_numbers)}"
        folder.mkdir()
        if kind == "sqlite":
            urls = f"sqlite:///{folder}/main.db", f"sqlite:///{folder}/keys.db"
        else:
            postgres: Postgres = request.getfixturevalue("own_postgres")
            names = [f"{what}_{next(_numbers)}" for what in ("main", "keys")]
            databases.extend(names)
            main, keys = map(postgres.make, names)
            urls = main, keys
        towns.append(Town(folder, *urls, deadline=deadline))
        return towns[-1]

    yield make
    for town in towns:
        town.close()
        for child in town.children:
            if child.log.exists():
                print(f"--- {child.log}\n{child.log.read_text(errors='replace')[-4000:]}")
    if databases:
        request.getfixturevalue("own_postgres").drop(*databases)

"""kill -9 of web, worker and PostgreSQL at random instants; 12 kills in every run of the tests, 300 in the long one."""

from __future__ import annotations

import pytest

from tests.kill.conftest import BuildTown
from tests.kill.postgres import Postgres
from tests.kill.storm import Storm, told

PEOPLE, BATCH = 8, 4
LONG = 60  # kills


def one_process_on_sqlite(build: BuildTown, seed: int, kills: int) -> None:
    town = build("sqlite")
    town.sandbox()
    web = town.web(engine=True)
    town.settle(PEOPLE)
    storm = Storm(town, seed)
    storm.may_kill_web_worker(web)
    storm.may_kill(web)
    storm.rage(kills, batch=BATCH)
    print(told(storm))


def web_and_worker_on_sqlite(build: BuildTown, seed: int, kills: int) -> None:
    town = build("sqlite")
    town.sandbox()
    web = town.web(engine=False)
    worker = town.worker("worker")
    town.settle(PEOPLE)
    storm = Storm(town, seed)
    storm.may_kill(web)
    storm.may_kill(worker)
    storm.rage(kills, batch=BATCH)
    print(told(storm))


def everything_on_postgresql(build: BuildTown, postgres: Postgres, seed: int, kills: int) -> None:
    town = build("postgresql")
    town.sandbox()
    web = town.web(engine=False)
    workers = [town.worker(f"worker{each}") for each in range(2)]
    town.settle(PEOPLE)
    storm = Storm(town, seed)
    for child in (web, *workers):
        storm.may_kill(child)
    storm.may_kill_postgres(postgres)
    storm.rage(kills, batch=BATCH)
    print(told(storm))


def test_one_process_on_sqlite(build: BuildTown) -> None:
    one_process_on_sqlite(build, seed=1, kills=5)


def test_everything_on_postgresql(build: BuildTown, own_postgres: Postgres) -> None:
    everything_on_postgresql(build, own_postgres, seed=2, kills=7)


@pytest.mark.long
@pytest.mark.parametrize("seed", [11, 12])
def test_one_process_on_sqlite_for_long(build: BuildTown, seed: int) -> None:
    one_process_on_sqlite(build, seed, LONG)


@pytest.mark.long
def test_web_and_worker_on_sqlite_for_long(build: BuildTown) -> None:
    web_and_worker_on_sqlite(build, 21, LONG)


@pytest.mark.long
@pytest.mark.parametrize("seed", [31, 32])
def test_everything_on_postgresql_for_long(build: BuildTown, own_postgres: Postgres, seed: int) -> None:
    everything_on_postgresql(build, own_postgres, seed, LONG)

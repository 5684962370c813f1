"""kill -9 before and after the effect of each of the nine steps: every disconnection still ends, once and truly."""

from __future__ import annotations

import pytest

from portal.workflows.disconnect import STEPS
from tests import invariants
from tests.kill.conftest import BuildTown
from tests.kill.town import Town

INSTANTS = [(step.name, when) for step in STEPS for when in ("before", "after")]
HALF = [INSTANTS[2 * at + at % 2] for at in range(len(STEPS))]
"""Before one step, after the next one, and so on; the short version plays the other half on PostgreSQL."""
BETWEEN = [(step.name, when) for step in STEPS[1:] for when in ("locked", "noted")]
"""In the middle of noting an outcome, and between our own note of it and the engine's."""


ROUNDS = 3


def die_at_each(town: Town, instants: list[tuple[str, str]]) -> None:
    """One disconnection per instant, all at once: each kill hits all those that are at work at that moment.

    So one may be carried past its own instant by the kill of another, which fell between its note and its turn to die.
    Who missed their instant connects and disconnects once more.
    """
    town.settle(len(instants))
    instant_of = dict(zip((person.number for person in town.people), instants, strict=True))
    accounts: dict[str, list[str]] = {person.account: [] for person in town.people}
    people = list(town.people)
    for _ in range(ROUNDS):
        ids = town.connect(*people, within=120)
        for person, connection_id in zip(people, ids, strict=True):
            accounts[person.account].append(connection_id)
            step, when = instant_of[person.number]
            (town.plan / connection_id).write_text(f"{step} {when} SIGKILL")
        for person, connection_id in zip(people, ids, strict=True):
            town.click(person, connection_id)
        town.until_at_rest(ids, within=120)
        missed = {path.name for path in town.plan.iterdir() if path.suffix != ".fired"}
        people = [person for person, connection_id in zip(people, ids, strict=True) if connection_id in missed]
        if not people:
            break
        for connection_id in missed:
            (town.plan / connection_id).unlink()
    assert not people, f"never come to: {[instant_of[person.number] for person in people]}"
    with town.looking():
        invariants.hold([each for ids in accounts.values() for each in ids], town.microsoft, accounts)


def one_process(town: Town, instants: list[tuple[str, str]]) -> None:
    """The one-command default: the engine inside the web process, which gunicorn starts again."""
    town.sandbox()
    town.web(engine=True, planned=True)
    die_at_each(town, instants)


def web_and_workers(town: Town, instants: list[tuple[str, str]], *, workers: int) -> None:
    """Web processes that only enqueue; workers that a supervisor starts again."""
    town.sandbox()
    town.web(engine=False, planned=True)
    with town.supervised(*(town.worker(f"worker{each}", planned="worker") for each in range(workers))):
        die_at_each(town, instants)


def test_one_process_on_sqlite_at_half_of_the_instants(build: BuildTown) -> None:
    one_process(build("sqlite"), HALF)


@pytest.mark.long
def test_one_process_on_sqlite(build: BuildTown) -> None:
    one_process(build("sqlite"), INSTANTS)


@pytest.mark.long
def test_one_process_on_sqlite_between_two_notes(build: BuildTown) -> None:
    one_process(build("sqlite"), BETWEEN)


@pytest.mark.long
def test_web_and_worker_on_sqlite(build: BuildTown) -> None:
    web_and_workers(build("sqlite"), INSTANTS + BETWEEN, workers=1)


@pytest.mark.long
def test_web_and_two_workers_on_postgresql_between_two_notes(build: BuildTown) -> None:
    web_and_workers(build("postgresql"), BETWEEN, workers=2)

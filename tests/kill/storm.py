"""kill -9 at random instants: people connect and click while processes die and come back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import psutil

from tests import invariants
from tests.kill.postgres import Postgres
from tests.kill.processes import Child
from tests.kill.town import Town

SLOWLY = 0.25  # seconds that Microsoft takes for each answer, so that most kills fall into a remote call


@dataclass
class Storm:
    """So many kills in one town, each while at least one disconnection is at work. The seed says where and when."""

    town: Town
    seed: int
    victims: dict[str, Callable[[], None]] = field(default_factory=dict)
    kills: list[tuple[str, int]] = field(default_factory=list)
    """Who was killed, and how many disconnections were at work at that moment."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def may_kill(self, child: Child) -> None:
        """Kill this process with all its children, and start it again a moment later."""

        def strike() -> None:
            child.kill()
            self._moment(0.5)
            child.start()

        self.victims[child.name] = strike

    def may_kill_web_worker(self, web: Child) -> None:
        """Kill what gunicorn supervises, and leave it to gunicorn."""

        def strike() -> None:
            assert web.process is not None
            for each in psutil.Process(web.process.pid).children():
                each.kill()

        self.victims["web worker"] = strike

    def may_kill_postgres(self, postgres: Postgres) -> None:
        """Kill the postmaster and all its children, and start it again: a crash recovery."""

        def strike() -> None:
            postgres.kill()
            self._moment(1.0)
            postgres.start()

        self.victims["PostgreSQL"] = strike

    def rage(self, kills: int, *, batch: int) -> None:
        """Batches of disconnections, and kills until there were enough; then everything must come to rest, truly."""
        ids: list[str] = []
        accounts: dict[str, list[str]] = {person.account: [] for person in self.town.people}
        while len(self.kills) < kills:
            people = self.random.sample(self.town.people, batch)
            living = self.town.connect(*people, within=90)
            for person, connection_id in zip(people, living, strict=True):
                accounts[person.account].append(connection_id)
            ids += living
            self.town.microsoft.breaks("delay", "all", delay=SLOWLY, times=None)
            with ThreadPoolExecutor(batch) as clicking:
                clicks = [
                    clicking.submit(self._click_sometime, self.random.uniform(0, 1), person, connection_id)
                    for person, connection_id in zip(people, living, strict=True)
                ]
                self._strike_until(kills, clicks)
                for click in clicks:
                    click.result()
            self.town.until_all_ended(within=90)
            self.town.microsoft.mend()
        self.town.until_at_rest(ids, within=90)
        with self.town.looking():
            invariants.hold(ids, self.town.microsoft, {name: all_ for name, all_ in accounts.items() if all_})

    def _click_sometime(self, after: float, person: object, connection_id: str) -> None:
        time.sleep(after)
        self.town.click(person, connection_id, within=120)  # type: ignore[arg-type]

    def _strike_until(self, kills: int, clicks: list[Future[None]]) -> None:
        """Strike again and again while a disconnection of this batch is at work."""
        while len(self.kills) < kills:
            self._moment(1.2)
            at_work = len(self.town.unfinished())
            if not at_work:
                if all(click.done() for click in clicks):
                    return
                continue
            name = self.random.choice(sorted(self.victims))
            self.victims[name]()
            self.kills.append((name, at_work))

    def _moment(self, longest: float) -> None:
        time.sleep(self.random.uniform(0, longest))


def told(storm: Storm) -> str:
    """One line for the log of a test run."""
    per_victim = {name: sum(each == name for each, _ in storm.kills) for name in storm.victims}
    hit = sum(number for _, number in storm.kills)
    return f"seed {storm.seed}: {len(storm.kills)} kills {per_victim}, {hit} disconnections hit"

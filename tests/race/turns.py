"""Threads that take turns: one moves at a time, from one point to the next, in an order that a schedule gives.

Points are before and after each call to the vendor, before each transaction begins, and, where asked for, inside a
transaction right before it commits. A thread that runs into a lock which another thread of the play holds stands still
until that one moves on; whether it does is asked of the lock (`locks.py`), never of the clock: the same schedule gives
the same play on a machine of any speed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

STUCK_AFTER = 120.0
"""Seconds without a sign of anybody: the play is broken off. No verdict hangs on it but this one."""

ASK_AGAIN = 0.005
"""Seconds after which a thread that gives no sign is looked for among those that wait for a lock."""

RESTING = {"sleep", "wait"}
"""Labels of points where the code would sleep: others move first, as they would meanwhile."""

Schedule = Callable[[dict[str, str]], str]
"""Chooses, among those that wait (name to the label of the point they wait at), who moves next."""


class Stuck(AssertionError):
    """Nobody moves any more: a deadlock, or a wait that nobody ends."""


@dataclass
class Actor:
    """One thread and where it is."""

    name: str
    work: Callable[[], Any]
    state: str = "waiting"  # waiting, moving, done
    label: str = "start"
    passed: list[str] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None


class Turns:
    """A few actors and the order in which they move."""

    def __init__(self, schedule: Schedule, *, locked: Callable[[set[str]], set[str]] = lambda _moving: set()) -> None:
        """`locked` tells which of the moving actors wait for a lock that another actor holds."""
        self.schedule = schedule
        self.locked = locked
        self.actors: dict[str, Actor] = {}
        self.order: list[tuple[str, str]] = []
        self.changed = threading.Condition()
        self._turn = ""
        self._over = False
        self._here = threading.local()

    def add(self, name: str, work: Callable[[], Any]) -> Actor:
        """Another actor, before the play begins."""
        made = self.actors[name] = Actor(name, work)
        return made

    def here(self) -> str:
        """The name of the actor whose thread asks; empty for all others."""
        return getattr(self._here, "name", "")

    def pause(self, label: str) -> None:
        """A point: the calling thread waits here for its turn. Threads that are no actors pass through."""
        actor = self.actors.get(self.here())
        if actor is None or getattr(self._here, "silent", False):
            return
        with self.changed:
            actor.state, actor.label = "waiting", label
            self.changed.notify_all()
            while self._turn != actor.name and not self._over:
                self.changed.wait()
            self._turn = ""
            actor.state = "moving"
            actor.passed.append(label)
            self.order.append((actor.name, label))

    @contextmanager
    def silently(self) -> Iterator[None]:
        """Within this block the calling thread passes every point: it only looks."""
        self._here.silent = True
        try:
            yield
        finally:
            self._here.silent = False

    def run(self) -> None:
        """Play to the end. Raises Stuck; errors of actors are kept with them."""
        threads = [
            threading.Thread(target=self._play, args=(actor,), name=actor.name, daemon=True)
            for actor in self.actors.values()
        ]
        for thread in threads:
            thread.start()
        try:
            with self.changed:
                while self._settle():
                    waiting = {each.name: each.label for each in self.actors.values() if each.state == "waiting"}
                    awake = {name: label for name, label in waiting.items() if label not in RESTING}
                    self._turn = self.schedule(awake or waiting)
                    self.actors[self._turn].state = "moving"
                    self.changed.notify_all()
        finally:
            with self.changed:
                self._over = True
                self.changed.notify_all()
            for thread in threads:
                thread.join(30)

    def _settle(self) -> bool:
        """Wait until all who move stand before a lock, and somebody waits for a turn. False when all are done."""
        until = time.monotonic() + STUCK_AFTER
        while True:
            states = {each.name: each.state for each in self.actors.values()}
            moving = {name for name, state in states.items() if state == "moving"}
            if not moving and "waiting" not in states.values():
                return False
            if not moving:
                return True
            if self.changed.wait(ASK_AGAIN):
                continue
            if "waiting" in states.values() and self.locked(moving) == moving:
                return True
            if time.monotonic() > until:
                raise Stuck(self.story())

    def _play(self, actor: Actor) -> None:
        self._here.name = actor.name
        self.pause("start")
        try:
            actor.result = actor.work()
        except BaseException as error:
            actor.error = error
        with self.changed:
            actor.state = "done"
            self.changed.notify_all()

    def story(self) -> str:
        """Who passed which point, in order: what to read when a play went wrong."""
        lines = [f"{name:12} {label}" for name, label in self.order]
        lines += [f"{each.name:12} {each.state} at {each.label} {each.error!r}" for each in self.actors.values()]
        return "\n".join(lines)

"""Threads that take turns: one moves at a time, from one point to the next, in an order that a schedule gives.

Points are before and after each call to the vendor, before each transaction begins, and, where asked for, inside a
transaction right before it commits. A thread that waits for a lock in the database counts as blocked until it moves
again; the others go on meanwhile.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

STUCK_AFTER = 60.0
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
    state: str = "waiting"  # waiting, moving, blocked, done
    label: str = "start"
    passed: list[str] = field(default_factory=list)
    result: Any = None
    error: BaseException | None = None


class Turns:
    """A few actors and the order in which they move."""

    def __init__(self, schedule: Schedule, *, blocked_after: float) -> None:
        """`blocked_after`: seconds without a sign of a moving thread after which it counts as waiting for a lock."""
        self.schedule = schedule
        self.blocked_after = blocked_after
        self.actors: dict[str, Actor] = {}
        self.order: list[tuple[str, str]] = []
        self._cond = threading.Condition()
        self._turn = ""
        self._here = threading.local()

    def add(self, name: str, work: Callable[[], Any]) -> Actor:
        """Another actor, before the play begins."""
        made = self.actors[name] = Actor(name, work)
        return made

    def pause(self, label: str) -> None:
        """A point: the calling thread waits here for its turn. Threads that are no actors pass through."""
        actor: Actor | None = getattr(self._here, "actor", None)
        if actor is None:
            return
        with self._cond:
            actor.state, actor.label = "waiting", label
            self._cond.notify_all()
            while self._turn != actor.name:
                self._cond.wait()
            self._turn = ""
            actor.state = "moving"
            actor.passed.append(label)
            self.order.append((actor.name, label))

    @contextmanager
    def silently(self) -> Iterator[None]:
        """Within this block the calling thread passes every point: it only looks."""
        actor, self._here.actor = getattr(self._here, "actor", None), None
        try:
            yield
        finally:
            self._here.actor = actor

    def run(self) -> None:
        """Play to the end. Raises Stuck; errors of actors are kept with them."""
        threads = [
            threading.Thread(target=self._play, args=(actor,), name=actor.name, daemon=True)
            for actor in self.actors.values()
        ]
        for thread in threads:
            thread.start()
        last = time.monotonic()
        while True:
            with self._cond:
                self._settle()
                waiting = {each.name: each.label for each in self.actors.values() if each.state == "waiting"}
                if not waiting:
                    if all(each.state == "done" for each in self.actors.values()):
                        break
                    if time.monotonic() - last > STUCK_AFTER:
                        raise Stuck(self.story())
                    self._cond.wait(self.blocked_after)
                    continue
                last = time.monotonic()
                awake = {name: label for name, label in waiting.items() if label not in RESTING}
                self._turn = self.schedule(awake or waiting)
                self.actors[self._turn].state = "moving"
                self._cond.notify_all()
        for thread in threads:
            thread.join(5)

    def _settle(self) -> None:
        """Wait until the one that moves has come to a point, or is taken for blocked."""
        until = time.monotonic() + self.blocked_after
        while any(each.state == "moving" for each in self.actors.values()):
            left = until - time.monotonic()
            if left <= 0:
                for each in self.actors.values():
                    if each.state == "moving" and each.name != self._turn:
                        each.state = "blocked"
                if self._turn:  # the thread has not even woken up yet
                    self._cond.wait(self.blocked_after)
                    until = time.monotonic() + self.blocked_after
                continue
            self._cond.wait(left)

    def _play(self, actor: Actor) -> None:
        self._here.actor = actor
        self.pause("start")
        try:
            actor.result = actor.work()
        except BaseException as error:
            actor.error = error
        with self._cond:
            actor.state = "done"
            self._cond.notify_all()

    def story(self) -> str:
        """Who passed which point, in order: what to read when a play went wrong."""
        lines = [f"{name:12} {label}" for name, label in self.order]
        lines += [f"{each.name:12} {each.state} at {each.label} {each.error!r}" for each in self.actors.values()]
        return "\n".join(lines)


def switches(*legs: tuple[str, int | str]) -> Schedule:
    """In each leg one actor passes so many points, or moves until it is about to pass a point with this label.

    Afterwards everybody ends, in the order of the legs.
    """
    left = list(legs)
    names = list(dict.fromkeys(name for name, _ in legs))

    def choose(waiting: dict[str, str]) -> str:
        while left:
            name, until = left[0]
            over = waiting.get(name) == until if isinstance(until, str) else until <= 0
            if name not in waiting or over:
                left.pop(0)
                continue
            if isinstance(until, int):
                left[0] = (name, until - 1)
            return name
        return next(name for name in (*names, *waiting) if name in waiting)

    return choose


def by_chance(seed: int, *, stay: float = 0.7) -> Schedule:
    """Anybody may move next; whoever has just moved is the more likely one, so that plays differ in length of turns."""
    dice = random.Random(seed)
    last = [""]

    def choose(waiting: dict[str, str]) -> str:
        names: Sequence[str] = sorted(waiting)
        if last[0] not in names or dice.random() > stay:
            last[0] = dice.choice(names)
        return last[0]

    return choose

"""Places to work at: so many runs do something, the others wait their turn."""

from __future__ import annotations

import threading
from collections import deque


class Places:
    """A number of places, given in the order in which they were asked for; whoever is in a hurry goes first.

    Unlike a semaphore it hands a place on to whoever waits: nobody who comes by just then gets in between.
    """

    def __init__(self, number: int) -> None:
        self._lock = threading.Lock()
        self._free = number
        self._hurried, self._waiting = deque[threading.Event](), deque[threading.Event]()

    def take(self, *, hurried: bool = False) -> None:
        """Wait for a place."""
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            (self._hurried if hurried else self._waiting).append(turn)
        turn.wait()

    def give(self) -> None:
        """Give the place back."""
        with self._lock:
            waiting = self._hurried or self._waiting
            if waiting:
                waiting.popleft().set()
            else:
                self._free += 1

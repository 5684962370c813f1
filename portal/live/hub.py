"""The hub of one process: every open stream of this process hears from here, each in the order of events."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from portal.db import new_id
from portal.live import ABOUT, EVERYBODY, LOOK_AGAIN, Event

REMEMBERED = 2000
"""Events kept for streams that come back after a cut; whoever was away for longer looks at everything again."""

Numbered = tuple[str, Event]


class Ended(Exception):
    """The process is shutting down: end the stream now, the browser comes back by itself."""


class Stream:
    """One open page. Its thread sleeps in `wait`; nothing else is done for a page that nothing happens to.

    `about` is the audience of somebody else whom the page is about: all it hears of them is that something is new.
    """

    def __init__(self, audiences: Iterable[str], about: str = "") -> None:
        self.audiences, self.about = frozenset(audiences) | {EVERYBODY}, about
        self.queue: queue.SimpleQueue[Numbered | None] = queue.SimpleQueue()

    def heard(self, event: Event) -> Event | None:
        """What the page is told of an event; None when it is not for it."""
        if event.to in self.audiences:
            return event
        return Event(event.to, ABOUT) if self.about and event.to == self.about else None

    def wait(self, seconds: float) -> list[Numbered]:
        """What has happened, each thing once; empty after so many quiet seconds. Raises Ended."""
        found: dict[Event, str] = {}
        try:
            item = self.queue.get(timeout=seconds)
            while True:
                if item is None:
                    raise Ended
                found.pop(item[1], None)
                found[item[1]] = item[0]
                item = self.queue.get_nowait()
        except queue.Empty:
            return [(number, event) for event, number in found.items()]


class Hub:
    """Counts streams, remembers the last events, and hands each event to those it is for.

    Nobody takes more than a twentieth of the `limit` (or three), so that one reader cannot use up what is everybody's.
    `listen(hub)` is started in a thread of its own with the first stream; see ears.py.
    """

    def __init__(self, limit: int, listen: Callable[[Hub], None]) -> None:
        self.limit, self.listen = limit, listen
        self.ending = threading.Event()
        self._lock = threading.Lock()
        self._streams: dict[str, set[Stream]] = {}
        self._about: dict[str, set[Stream]] = {}
        self._open = 0
        self._recent: deque[tuple[int, Event]] = deque(maxlen=REMEMBERED)
        self._last = 0
        self._name = new_id()[:8]
        self._listener: threading.Thread | None = None

    def open(self, audiences: Sequence[str], since: str = "", about: str = "") -> Stream | None:
        """A new stream that misses nothing after the position `since`; None when there are too many.

        The first audience is the reader.
        """
        stream = Stream(audiences, about)
        with self._lock:
            own = len(self._streams.get(audiences[0], ()))
            if self._open >= self.limit or own >= max(self.limit // 20, 3) or self.ending.is_set():
                return None
            self._start_listening()
            self._open += 1
            for audience in stream.audiences:
                self._streams.setdefault(audience, set()).add(stream)
            if about:
                self._about.setdefault(about, set()).add(stream)
            for item in self._missed(stream, since):
                stream.queue.put(item)
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream; twice does no harm."""
        with self._lock:
            if stream not in self._streams.get(EVERYBODY, ()):
                return
            self._open -= 1
            for audience in stream.audiences:
                self._streams[audience].discard(stream)
                if not self._streams[audience]:
                    del self._streams[audience]
            if stream.about:
                self._about[stream.about].discard(stream)
                if not self._about[stream.about]:
                    del self._about[stream.about]

    def publish(self, event: Event) -> None:
        """Hand an event to everybody it is for."""
        with self._lock:
            self._last += 1
            self._recent.append((self._last, event))
            for stream in {*self._streams.get(event.to, ()), *self._about.get(event.to, ())}:
                told = stream.heard(event)
                if told is not None:
                    stream.queue.put((self._number(self._last), told))

    def look_again(self) -> None:
        """Something may have been missed: let every page look at everything again."""
        self.publish(Event(EVERYBODY, LOOK_AGAIN))

    def position(self) -> str:
        """Where the events of this process stand now."""
        return self._number(self._last)

    def audiences(self) -> set[str]:
        """Every audience that somebody of this process belongs to (not those whom pages are about)."""
        with self._lock:
            return set(self._streams)

    def count(self) -> int:
        """How many streams are open."""
        return self._open

    def end(self) -> None:
        """End every stream and open no more. Safe inside a signal handler of the main thread."""
        self.ending.set()
        for stream in list(self._streams.get(EVERYBODY, ())):
            stream.queue.put(None)

    def _number(self, number: int) -> str:
        return f"{self._name}-{number}"

    def _missed(self, stream: Stream, since: str) -> list[Numbered]:
        name, _, number = since.partition("-")
        first = self._recent[0][0] if self._recent else self._last + 1
        if name != self._name or not number.isdigit() or not first - 1 <= int(number) <= self._last:
            return [(self.position(), Event(EVERYBODY, LOOK_AGAIN))]
        missed = [(at, stream.heard(event)) for at, event in self._recent if at > int(number)]
        return [(self._number(at), told) for at, told in missed if told is not None]

    def _start_listening(self) -> None:
        if self._listener is None or not self._listener.is_alive():
            self._listener = threading.Thread(target=self.listen, args=(self,), name="live", daemon=True)
            self._listener.start()

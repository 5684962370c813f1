"""Whose turn it is: those in a hurry first, then first come, first served."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from portal.durable.places import Places
from tests.terminal import until


def test_it_works() -> None:
    places, order = Places(1), SimpleQueue[str]()
    places.take()

    def stand_in_line(name: str, *, hurried: bool) -> None:
        places.take(hurried=hurried)
        order.put(name)
        places.give()

    for waiting, (name, hurried) in enumerate([("a", False), ("b", False), ("c", True), ("d", True), ("e", False)], 1):
        threading.Thread(target=stand_in_line, args=(name,), kwargs={"hurried": hurried}, daemon=True).start()
        until(lambda: len(places._waiting) + len(places._hurried) == waiting, "it stands in line")  # noqa: B023
    places.give()
    assert [order.get(timeout=10) for _ in range(5)] == ["c", "d", "a", "b", "e"]
    places.take()  # which is free again
    places.give()


def test_so_many_places_and_no_more() -> None:
    places = Places(2)
    places.take()
    places.take()
    third = threading.Thread(target=places.take, daemon=True)
    third.start()
    third.join(0.3)
    assert third.is_alive()
    places.give()
    third.join(10)
    assert not third.is_alive()

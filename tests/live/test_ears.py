"""What one process tells, another hears: after the commit, within a moment, on both databases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest

from portal import live
from portal.db import db
from portal.live import LOOK_AGAIN, ears
from portal.live.hub import Hub, Stream
from tests.world import World

ALICE = "member:alice"


@pytest.fixture
def hub(both: World) -> Iterator[Hub]:
    """The hub of another process on the same database: it shares nothing with the writer but that."""
    hub = Hub(limit=5, listen=ears.for_database(both.app.extensions["settings"].database_url))
    yield hub
    hub.end()
    time.sleep(0.1)


def told(stream: Stream, enough: Callable[[list[str]], bool], within: float = 20.0) -> list[str]:
    found: list[str] = []
    until = time.monotonic() + within
    while not enough(found) and time.monotonic() < until:
        found += [event.what for _, event in stream.wait(0.1)]
    return found


def listening(hub: Hub) -> Stream:
    stream = hub.open([ALICE], hub.position())
    assert stream is not None
    assert LOOK_AGAIN in told(stream, lambda found: LOOK_AGAIN in found)
    return stream


def test_it_works(hub: Hub) -> None:
    stream = listening(hub)
    for what in ("one", "two", "three"):
        live.tell(db.session(), ALICE, what)
        db.session.commit()
    began = time.monotonic()
    assert told(stream, lambda found: len(found) == 3) == ["one", "two", "three"]
    assert time.monotonic() - began < 10


def test_what_is_rolled_back_is_never_told(hub: Hub) -> None:
    stream = listening(hub)
    live.tell(db.session(), ALICE, "never")
    db.session.rollback()
    live.tell(db.session(), ALICE, "done")
    db.session.commit()
    assert told(stream, lambda found: bool(found)) == ["done"]


def test_others_hear_nothing(hub: Hub) -> None:
    stream = listening(hub)
    live.tell(db.session(), "member:bob", "secret")
    db.session.commit()
    assert told(stream, lambda found: bool(found), within=0.3) == []


def test_words_arrive_as_they_are(hub: Hub) -> None:
    stream = listening(hub)
    live.tell(db.session(), ALICE, "live-typing", "Zoë “Sam” O'Neil")
    db.session.commit()
    (found,) = stream.wait(2)
    assert found[1].data == "Zoë “Sam” O'Neil"


def test_a_cut_line_to_postgresql_is_mended_and_everything_looked_at_again(
    postgres_urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ears, "TRY_AGAIN", 0.05)
    hub = Hub(limit=5, listen=ears.for_database(postgres_urls[0].replace("postgresql://", "postgresql+psycopg://")))
    stream = listening(hub)
    with closing(psycopg.connect(postgres_urls[0], autocommit=True)) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%%'")
        assert told(stream, lambda found: bool(found)) == [LOOK_AGAIN]
    hub.end()

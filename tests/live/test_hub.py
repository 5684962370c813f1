"""The hub: in order, each thing once, nothing missed after a cut, never more streams than allowed."""

from __future__ import annotations

import pytest

from portal.live import ABOUT, EVERYBODY, LOOK_AGAIN, Event
from portal.live.hub import REMEMBERED, Ended, Hub, Stream

ALICE, BOB = "member:alice", "member:bob"


@pytest.fixture
def hub() -> Hub:
    return Hub(limit=3, listen=lambda hub: None)


def opened(hub: Hub, *audiences: str, since: str | None = None) -> Stream:
    stream = hub.open(audiences, hub.position() if since is None else since)
    assert stream is not None
    return stream


def heard(stream: Stream) -> list[str]:
    return [event.what for _, event in stream.wait(0.01)]


def test_it_works(hub: Hub) -> None:
    alice, bob = opened(hub, ALICE), opened(hub, BOB)
    hub.publish(Event(ALICE, "one"))
    hub.publish(Event(ALICE, "two"))
    assert heard(alice) == ["one", "two"]
    assert heard(alice) == heard(bob) == []


def test_a_page_about_somebody_hears_that_there_is_news_and_not_which(hub: Hub) -> None:
    sam = hub.open(["support"], hub.position(), about=ALICE)
    assert sam is not None
    hub.publish(Event(ALICE, "live-connections"))
    hub.publish(Event(ALICE, "live-typing", "Sam"))
    hub.publish(Event(BOB, "live-connections"))
    hub.publish(Event("support", "live-desk"))
    assert [(event.what, event.data) for _, event in sam.wait(0.01)] == [(ABOUT, ""), ("live-desk", "")]
    assert ALICE not in hub.audiences(), "Alice herself is not here"
    hub.close(sam)
    hub.publish(Event(ALICE, "live-chat"))
    assert hub._about == {}


def test_who_comes_back_to_a_page_about_somebody_hears_what_was_missed(hub: Hub) -> None:
    before = hub.position()
    hub.publish(Event(BOB, "live-connections"))
    hub.publish(Event(ALICE, "live-connections"))
    sam = hub.open(["support"], before, about=ALICE)
    assert sam is not None
    assert heard(sam) == [ABOUT]


def test_the_same_thing_is_told_once_in_the_place_of_the_last(hub: Hub) -> None:
    alice = opened(hub, ALICE)
    for what in ("one", "two", "one"):
        hub.publish(Event(ALICE, what))
    assert heard(alice) == ["two", "one"]


def test_who_comes_back_hears_exactly_what_was_missed(hub: Hub) -> None:
    alice = opened(hub, ALICE)
    hub.publish(Event(ALICE, "before"))
    ((number, _),) = alice.wait(0.01)
    hub.close(alice)
    hub.publish(Event(BOB, "of another"))
    hub.publish(Event(ALICE, "meanwhile"))
    assert heard(opened(hub, ALICE, since=number)) == ["meanwhile"]


@pytest.mark.parametrize("since", ["", "other-1", "nonsense", "-", "{name}-999999"])
def test_who_comes_from_elsewhere_looks_at_everything(hub: Hub, since: str) -> None:
    name = hub.position().partition("-")[0]
    assert heard(opened(hub, ALICE, since=since.replace("{name}", name))) == [LOOK_AGAIN]


def test_who_was_away_for_too_long_looks_at_everything(hub: Hub) -> None:
    start = hub.position()
    for number in range(REMEMBERED + 1):
        hub.publish(Event(ALICE, f"event-{number}"))
    assert heard(opened(hub, ALICE, since=start)) == [LOOK_AGAIN]


def test_no_more_streams_than_allowed(hub: Hub) -> None:
    streams = [opened(hub, ALICE) for _ in range(3)]
    assert hub.open([ALICE]) is None
    hub.close(streams[0])
    hub.close(streams[0])
    assert hub.count() == 2
    opened(hub, ALICE)
    assert hub.open([ALICE]) is None


def test_one_reader_leaves_room_for_the_others() -> None:
    hub = Hub(100, lambda _: None)
    own = [opened(hub, ALICE, "support") for _ in range(5)]
    assert hub.open([ALICE, "support"]) is None
    for _ in range(5):
        opened(hub, BOB, "support")
    hub.close(own[0])
    opened(hub, ALICE, "support")


def test_the_end_reaches_every_stream_and_none_is_opened_any_more(hub: Hub) -> None:
    streams = [opened(hub, ALICE), opened(hub, BOB)]
    hub.end()
    for stream in streams:
        with pytest.raises(Ended):
            stream.wait(0.01)
    assert hub.open([ALICE]) is None


def test_everybody_is_everybody(hub: Hub) -> None:
    streams = [opened(hub, ALICE), opened(hub, BOB)]
    hub.look_again()
    assert [heard(stream) for stream in streams] == [[LOOK_AGAIN]] * 2
    assert EVERYBODY in hub.audiences()

"""Windows: whatever the sizes, everything is seen, in its place, and once."""

from __future__ import annotations

import random
import re

import pytest

from portal.residue.windows import CONTEXT, Piece, runs, windows

LONGEST = 3 * CONTEXT
TOKEN = re.compile(rb"<[a-z]{3,%d}>" % (LONGEST - 2))


def pieces(data: bytes, sizes: list[int], place: str = "file") -> list[Piece]:
    """The same bytes, handed out in uneven pieces."""
    found, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        found.append((place, at, data[at : at + size]))
        at, turn = at + size, turn + 1
    return found


def planted(seed: int, length: int = 9000) -> tuple[bytes, dict[int, bytes]]:
    """Noise with tokens in it, and where each stands."""
    chance = random.Random(seed)
    data = bytearray(chance.choice(b"ABC ") for _ in range(length))
    where: dict[int, bytes] = {}
    at = chance.randrange(30)
    while at < length - LONGEST:
        size = chance.randrange(3, chance.choice((9, LONGEST - 1)))
        token = b"<" + bytes(chance.choice(b"abcxyz") for _ in range(size)) + b">"
        data[at : at + len(token)] = token
        where[at] = token
        at += len(token) + chance.randrange(200)
    return bytes(data), where


def seen(stream: list[Piece], chunk: int, overlap: int) -> list[tuple[int, bytes]]:
    return [
        (window.where(match.start())[1], match[0])
        for window in windows(stream, chunk=chunk, overlap=overlap)
        for match in TOKEN.finditer(window.data)
        if window.is_new(*match.span())
    ]


@pytest.mark.parametrize("chunk", [1, 7, 63, 64, 255, LONGEST - 1, LONGEST, LONGEST + 1, 1000, 8999, 9000, 9999])
@pytest.mark.parametrize("sizes", [[1], [8192], [3, 50, 1], [128], [129, 127]])
def test_nothing_is_missed_and_nothing_seen_twice(chunk: int, sizes: list[int]) -> None:
    for seed in range(2):
        data, where = planted(seed)
        assert where
        assert seen(pieces(data, sizes), chunk, overlap=LONGEST) == sorted(where.items())


def test_what_is_longer_than_the_overlap_is_seen_in_part() -> None:
    """The promise has a limit, and this is it: a run of letters shows in every window that it goes through."""
    data = b"." * 500 + b"x" * 2000 + b"." * 500
    found = [
        window.where(match.start())
        for window in windows(pieces(data, [100]), chunk=100, overlap=50)
        for match in re.finditer(rb"x+", window.data)
        if window.is_new(*match.span())
    ]
    assert ("file", 500) in found
    assert len(found) > 5


def test_a_place_is_the_file_and_the_offset_there() -> None:
    """As when headers are taken out of a log that runs over several files."""
    stream = [("one", 24, b"aaa<b"), ("one", 100, b"cd>"), ("two", 40, b"<efg>")]
    for chunk in (1, 2, 3, 8, 100):
        found = [
            (window.where(match.start()), match[0])
            for window in windows(stream, chunk=chunk, overlap=10)
            for match in TOKEN.finditer(window.data)
            if window.is_new(*match.span())
        ]
        assert found == [(("one", 27), b"<bcd>"), (("two", 40), b"<efg>")]


def test_memory_is_constant() -> None:
    """No window grows beyond what its sizes say, however long the stream is."""
    stream = (("file", number * 1000, b"y" * 1000) for number in range(3000))
    longest = max(len(window.data) for window in windows(stream, chunk=4000, overlap=500))
    assert longest < 4000 + 2 * 1000 + 500 + 500


@pytest.mark.parametrize("shortest", [1, 3, 5])
def test_runs_are_what_a_regular_expression_would_find(shortest: int) -> None:
    chance = random.Random(shortest)
    for _ in range(200):
        data = bytes(chance.choice(b"aab.") for _ in range(chance.randrange(60)))
        expected = [match.start() for match in re.finditer(rb"[ab]{%d,}" % shortest, data)]
        assert list(runs(data, b"ab", shortest)) == expected

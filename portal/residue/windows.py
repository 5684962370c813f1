"""Read streams of bytes of any length through overlapping windows, in constant memory.

Whatever is looked for begins in exactly one window and is whole in it, as long as it is not longer than the overlap;
something longer is seen in part. The sizes are in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CHUNK = 4 * 1024 * 1024
OVERLAP = 64 * 1024
CONTEXT = 128  # bytes kept before what is new, for whatever must know what stands in front of it

Piece = tuple[str, int, bytes]
"""Some consecutive bytes of a stream: the file (or table) they are from, their offset there, and themselves."""


@dataclass(frozen=True)
class Window:
    """A stretch of a stream. Matches that `is_new` refuses were seen in the window before, or will be in the next."""

    data: bytes
    marks: tuple[tuple[int, str, int], ...]  # index into data, file, offset there; ascending
    context: int
    seen: int
    upto: int

    def is_new(self, start: int, end: int) -> bool:
        """Whether a match belongs to this window."""
        return start < self.upto and (start >= self.context or end > self.seen)

    def where(self, index: int) -> tuple[str, int]:
        """File and offset of a byte."""
        at, place, offset = next(mark for mark in reversed(self.marks) if mark[0] <= index)
        return place, offset + index - at


def windows(pieces: Iterable[Piece], *, chunk: int = CHUNK, overlap: int = OVERLAP) -> Iterator[Window]:
    """The windows over one stream: each brings at least `chunk` new bytes, the last one what is left."""
    buffer, marks, context, seen = bytearray(), list[tuple[int, str, int]](), 0, 0
    for place, offset, data in pieces:
        if not marks or _after(marks[-1], len(buffer)) != (place, offset):
            marks.append((len(buffer), place, offset))
        buffer += data
        if len(buffer) - seen < max(chunk, overlap if not seen else 1):
            continue
        upto = len(buffer) - overlap
        if upto <= context:
            continue
        yield Window(bytes(buffer), tuple(marks), context, seen, upto)
        cut = max(0, upto - CONTEXT)
        context, seen = upto - cut, len(buffer) - cut
        del buffer[:cut]
        marks = _shifted(marks, cut)
    if len(buffer) > context:
        yield Window(bytes(buffer), tuple(marks), context, seen, len(buffer))


def _after(mark: tuple[int, str, int], length: int) -> tuple[str, int]:
    at, place, offset = mark
    return place, offset + length - at


def _shifted(marks: list[tuple[int, str, int]], cut: int) -> list[tuple[int, str, int]]:
    """The marks after `cut` bytes were dropped; the one that covers the new beginning moves to it."""
    first = max(number for number, (at, _, _) in enumerate(marks) if at <= cut)
    at, place, offset = marks[first]
    return [(0, place, offset + cut - at), *((at - cut, place, offset) for at, place, offset in marks[first + 1 :])]


def runs(data: bytes, letters: bytes, shortest: int) -> Iterator[int]:
    """Where each run of at least so many of these letters begins. Much faster than a regular expression's search."""
    mask = data.translate(bytes(1 if each in letters else 0 for each in range(256)))
    long_enough = b"\1" * shortest
    at = mask.find(long_enough)
    while at >= 0:
        yield at
        end = mask.find(0, at)
        at = mask.find(long_enough, end) if end >= 0 else -1

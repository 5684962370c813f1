"""Bytes as they are, and what is in them in base64: durable engines and dumps keep things so."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from portal.residue.windows import runs

_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"
_RUN = re.compile(rb"[A-Za-z0-9+/_-]+(?:\r?\n[A-Za-z0-9+/_-]+)*")
_STANDARD = bytes.maketrans(b"-_", b"+/")
SHORTEST = 40  # letters of base64 that are worth a look


@dataclass(frozen=True)
class Layer:
    """Some bytes, and where they are: themselves, or as base64 between `start` and `end` of what lies around them."""

    data: bytes
    start: int
    end: int
    hidden: bool

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a stretch of this layer is in the outermost one."""
        return (self.start, self.end) if self.hidden else (start, end)


def layers(data: bytes) -> Iterator[Layer]:
    """The data, what is in it in base64, and what is in base64 in that."""
    yield Layer(data, 0, len(data), hidden=False)
    for start, end, inner in _within(data):
        yield Layer(inner, start, end, hidden=True)
        for _, _, innermost in _within(inner):
            yield Layer(innermost, start, end, hidden=True)


def decoded(text: bytes) -> bytes:
    """Base64 of either alphabet, without padding and cut off anywhere; nothing when it is none."""
    text = text.translate(_STANDARD)
    text = text[: len(text) - (len(text) % 4 == 1)]
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def _within(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and meaning of each run of base64 that is no sealed text: a column before it may have lent letters."""
    done = 0
    for start in runs(data, _LETTERS, SHORTEST):
        run = _RUN.match(data, start)
        if run is None or start < done or data[max(0, start - 5) : start] == b"cns1.":
            continue
        done = run.end()
        text = run[0].replace(b"\r", b"").replace(b"\n", b"")
        for skip in range(4):
            yield start, done, decoded(text[skip:])

"""Wrapped data keys in raw bytes: in free pages, write-ahead logs, copies and dumps, whoever they belonged to.

A wrapped key is 60 random bytes, so it is known by its neighbours in the row: the owner's id before it and the id of
the portal's key behind it, with nothing between (SQLite) or one byte (PostgreSQL's short varlena header). Either
neighbour is enough. Dumps write it as 120 hexadecimal digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from itertools import chain

from portal.keyring.wrapping import WRAPPED_SIZE, CannotOpen, PortalKeys
from portal.residue.windows import runs

_HEX_RUN = re.compile(rb"[0-9a-f]+")
_DUMPED = tuple(
    re.compile(before + rb"([0-9a-fA-F]{%d})(?![0-9a-fA-F])" % (2 * WRAPPED_SIZE)) for before in (rb"\\x", b"x'", b"X'")
)
_OWNER = re.compile(rb"[0-9a-f]{32}")
LENT = 6  # so many first bytes of a wrapped key may look like hexadecimal digits of the owner before it


@dataclass(frozen=True)
class Wrapped:
    """A wrapped data key that one of the portal's keys unwraps."""

    start: int
    end: int
    owner: str
    key: bytes


def find(data: bytes, portal_keys: PortalKeys, owners: Set[str]) -> Iterator[Wrapped]:
    """Every wrapped key that can be unwrapped. `owners` are all we know of, for where the owner was written over."""
    seen: set[int] = set()
    for start, end, blob, nearby in _candidates(data, portal_keys):
        if start in seen or len(blob) != WRAPPED_SIZE or blob.isascii():
            continue
        for owner in _worth_trying(nearby, owners, _behind_a_key_id(data, end, portal_keys)):
            key = _unwrapped(owner, blob, portal_keys)
            if key is not None:
                seen.add(start)
                yield Wrapped(start, end, owner, key)
                break


def _worth_trying(nearby: list[str], owners: Set[str], certain: bool) -> Iterator[str]:
    """The owner who is named there; everybody only if it is a wrapped key for certain, or nobody is named."""
    yield from nearby
    if certain or not nearby:
        yield from tuple(owners)


def _candidates(data: bytes, portal_keys: PortalKeys) -> Iterator[tuple[int, int, bytes, list[str]]]:
    """Where one may be: start, end, the 60 bytes, and owners named nearby."""
    for run in filter(None, (_HEX_RUN.match(data, at) for at in runs(data, b"0123456789abcdef", 32))):
        longest = min(LENT, run.end() - run.start() - 32)
        for before, start in ((run.end(), run.end() + 1), *((run.end() - lent,) * 2 for lent in range(longest + 1))):
            end = start + WRAPPED_SIZE
            yield start, end, data[start:end], [data[before - 32 : before].decode()]
    for name in portal_keys.ids():
        for match in re.finditer(name.encode(), data):
            for gap in (0, 1):
                end = match.start() - gap
                start = end - WRAPPED_SIZE
                if start >= 0:
                    yield start, end, data[start:end], _named(data[max(0, start - gap - 32) : start - gap])
    for match in chain.from_iterable(pattern.finditer(data) for pattern in _DUMPED):
        blob = bytes.fromhex(match[1].decode())
        yield match.start(), match.end(), blob, _named(data[max(0, match.start() - 48) : match.start()])


def _named(before: bytes) -> list[str]:
    return [match.decode() for match in _OWNER.findall(before)][-1:]


def _behind_a_key_id(data: bytes, end: int, portal_keys: PortalKeys) -> bool:
    """Whether the id of a portal's key follows: then it is a wrapped key for certain, whatever stands before it."""
    behind = data[end : end + 17].decode("latin-1")
    return any(name in behind for name in portal_keys.ids())


def _unwrapped(owner: str, blob: bytes, portal_keys: PortalKeys) -> bytes | None:
    for name in portal_keys.ids():
        try:
            return portal_keys.unwrap(owner, blob, name)
        except CannotOpen:
            continue
    return None

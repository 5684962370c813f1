"""Look through streams of bytes, twice: first for wrapped keys, then for everything that is sealed or in the clear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from sqlalchemy.exc import DBAPIError

from portal.keyring.wrapping import PortalKeys
from portal.residue import sealed, wrapped
from portal.residue.bunch import Bunch
from portal.residue.clear import Clears
from portal.residue.layers import Layer, layers
from portal.residue.report import Report
from portal.residue.sealed import DataKey, Text
from portal.residue.windows import CHUNK, OVERLAP, Piece, Window, windows

NEAR = 300  # bytes around a sealed text in which its owner is likely to be named


class Where(Enum):
    """What a stream is to us: wrapped keys are at home in the key database, and pass through a server's log."""

    KEYS = "key database"
    WAL = "write-ahead log"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Stream:
    """Some bytes to look through. `open` may be called twice, and may raise OSError while it is read."""

    name: str
    where: Where
    open: Callable[[], Iterable[Piece]]
    counts: bool = True  # False for bytes that are looked at once more in another order


@dataclass
class Known:
    """What we know: the keys that exist, who is living, every id that may own a key, and our own secrets."""

    portal_keys: PortalKeys
    keys: dict[bytes, str]  # data key to owner
    living: frozenset[str]
    owners: frozenset[str]
    literals: tuple[tuple[str, bytes], ...] = ()


@dataclass
class Look:
    """One look. Its report grows with every stream."""

    known: Known
    chunk: int = CHUNK
    overlap: int = OVERLAP
    report: Report = field(default_factory=Report)

    def __post_init__(self) -> None:
        self._bunch = Bunch(self.known.keys)
        self._owners = set(self.known.owners)
        self._clears = Clears(self.known.literals)

    def for_keys(self, stream: Stream) -> None:
        """First round: wrapped keys that were destroyed, and wrapped keys where none should be."""
        for window in self._windows(stream, count=False):
            for found in wrapped.find(window.data, self.known.portal_keys, self._owners):
                if window.is_new(found.start, found.end):
                    self._owners.add(found.owner)
                    self._judge_key(stream, window, found)

    def for_secrets(self, stream: Stream) -> None:
        """Second round: sealed texts that some key opens, and secrets in the clear."""
        for window in self._windows(stream, count=stream.counts):
            for layer in layers(window.data):
                self._in_layer(window, layer)

    def _in_layer(self, window: Window, layer: Layer) -> None:
        for text in sealed.texts(layer.data):
            start, end = layer.span(text.start, text.end)
            if window.is_new(start, end):
                near = layer.data[max(0, text.start - NEAR) : text.end + NEAR]
                self._judge_text(window.where(start), text, self._bunch.open(text, near))
        for clear in self._clears.find(layer.data):
            start, end = layer.span(clear.start, clear.end)
            if window.is_new(start, end):
                how = "in base64" if layer.hidden else "in the clear"
                self.report.add(window.where(start), f"{clear.kind} {how}", clear.secret)

    def _judge_key(self, stream: Stream, window: Window, found: wrapped.Wrapped) -> None:
        key = self._bunch.add(found.key, found.owner, exists=False)
        place, in_wal = window.where(found.start), stream.where is Where.WAL
        key.only_in_wal = key.only_in_wal and in_wal
        if not key.exists:
            self.report.add(place, "destroyed data key", found.key, owner=found.owner, bounded=in_wal)
        elif stream.where is Where.ELSEWHERE:
            self.report.add(place, "data key outside of the key database", found.key, owner=found.owner)

    def _judge_text(self, place: tuple[str, int], text: Text, opened: tuple[DataKey, str] | None) -> None:
        if opened is None:
            self.report.shut += 1
            return
        key, purpose = opened
        if key.exists and key.owner in self.known.living:
            self.report.fine[place[0], purpose] += 1
            return
        by = "key of no living connection" if key.exists else "destroyed key"
        kind = f"sealed text ({purpose}), opened by a {by}"
        self.report.add(place, kind, text.text, owner=key.owner, bounded=not key.exists and key.only_in_wal)

    def _windows(self, stream: Stream, *, count: bool) -> Iterator[Window]:
        try:
            for window in windows(stream.open(), chunk=self.chunk, overlap=self.overlap):
                self.report.size += (len(window.data) - window.seen) * count
                yield window
            self.report.files += count
        except OSError as error:
            self.report.miss(stream.name, error.strerror or type(error).__name__)
        except DBAPIError as error:
            self.report.miss(stream.name, type(error).__name__)

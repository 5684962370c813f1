"""SQLite's files: the database, its write-ahead log, shared memory and rollback journal.

A value that does not fit into its page goes on in overflow pages, so a secret may be torn in two by a page boundary.
`torn` puts such values together again: after the part that is in a b-tree page stands the number of the page where it
goes on, and an overflow page begins with the number of the next. https://www.sqlite.org/fileformat2.html
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from portal.residue.files import Held
from portal.residue.windows import Piece

MAGIC, JOURNAL_MAGIC = b"SQLite format 3\0", b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
LONGEST = 16 * 1024  # bytes after the first tear that are put together: more than any secret has
IMAGES = 4  # so many versions of a page are tried, the latest first
_POINTER = re.compile(rb"[A-Za-z0-9._~+/=!*$%-](\x00[\x00-\xff]{3})")
_LETTER = re.compile(rb"[A-Za-z0-9._~+/=!*$%-]")


def files(database: Path) -> list[Path]:
    """The files of a database that exist."""
    every = [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")]
    return [path for path in every if path.exists()]


def torn(database: Path, held: Held) -> Iterator[list[Piece]]:
    """Each value that goes on in another page, from up to a page before the tear to its end, as a stream."""
    book = _Book(database, held)
    for path, offset in book.every():
        page = book.page(path, offset)
        chained = (book.usable, int.from_bytes(page[:4], "big"))
        pointers = [(match.start(1), int.from_bytes(match[1], "big")) for match in _POINTER.finditer(page)]
        for cut, number in (chained, *pointers):
            start = 4 if cut == book.usable else 0
            for rest in book.follow(number):
                yield [(path, offset + start, page[start:cut]), *rest]


class _Book:
    """All images of all pages: in the database, in frames of the log, in records of the journal."""

    def __init__(self, database: Path, held: Held) -> None:
        self._handles = {str(path): held.open(path) for path in files(database) if not str(path).endswith("-shm")}
        self._sizes = {path: os.fstat(handle).st_size for path, handle in self._handles.items()}
        self._database, self._wal, self._journal = str(database), f"{database}-wal", f"{database}-journal"
        self.size, self.usable = self._measure()
        self.count = self._sizes.get(self._database, 0) // self.size if self.size else 0
        self._images: dict[int, list[tuple[str, int]]] = {}
        for number, path, offset in self._logged():
            self._images.setdefault(number, []).append((path, offset))
            self.count = max(self.count, number)

    def every(self) -> Iterator[tuple[str, int]]:
        """Path and offset of every image of every page."""
        if not self.size:
            return
        for offset in range(0, self._sizes.get(self._database, 0), self.size):
            yield self._database, offset
        for images in self._images.values():
            yield from images

    def page(self, path: str, offset: int) -> bytes:
        """One image, without what is reserved at its end."""
        return os.pread(self._handles[path], self.usable, offset)

    def follow(self, number: int) -> Iterator[list[Piece]]:
        """What may go on in page `number`: one chain of pieces for each image of it that begins like text."""
        if not 2 <= number <= self.count:
            return
        for path, offset in self._images_of(number):
            chain, length = list[Piece](), 0
            while length < LONGEST:
                page = self.page(path, offset)
                if not _LETTER.match(page[4:5]):
                    break
                chain.append((path, offset + 4, page[4:]))
                length += len(page) - 4
                following = self._images_of(int.from_bytes(page[:4], "big"))
                if not following:
                    break
                path, offset = following[0]
            if chain:
                yield chain

    def _images_of(self, number: int) -> list[tuple[str, int]]:
        images = self._images.get(number, [])[: -IMAGES - 1 : -1]
        if self._database in self._sizes and number >= 2 and number * self.size <= self._sizes[self._database]:
            images = [*images, (self._database, (number - 1) * self.size)]
        return images

    def _measure(self) -> tuple[int, int]:
        """Size of a page, and how much of it is used. (0, 0) when no file tells."""
        head = self._head(self._database, 24)
        if head.startswith(MAGIC):
            size = int.from_bytes(head[16:18], "big")
            size = 65536 if size == 1 else size
            return size, size - head[20]
        size = int.from_bytes(self._head(self._wal, 12)[8:12], "big")
        return size, size

    def _logged(self) -> Iterator[tuple[int, str, int]]:
        """Page number, path and offset of each page image in the log and in the journal, old generations too."""
        if self.size and self._head(self._wal, 4) in WAL_MAGICS:
            for at in range(32, self._sizes[self._wal] - 24, 24 + self.size):
                number = int.from_bytes(os.pread(self._handles[self._wal], 4, at), "big")
                yield number, self._wal, at + 24
        # The journal's first bytes are zeroed when it is kept after a commit; its records stay where they were.
        sector = int.from_bytes(self._head(self._journal, 24)[20:24], "big") or 512
        if self.size and self._journal in self._sizes:
            for at in range(sector, self._sizes[self._journal] - 4, 8 + self.size):
                number = int.from_bytes(os.pread(self._handles[self._journal], 4, at), "big")
                yield number, self._journal, at + 4

    def _head(self, path: str, length: int) -> bytes:
        return os.pread(self._handles[path], length, 0) if path in self._handles else b""

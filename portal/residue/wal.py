"""PostgreSQL's write-ahead log: records run across pages and segments, with a header at the top of each page.

The headers are taken out, so that a secret which they interrupt is seen whole. Header: XLogPageHeaderData in
https://github.com/postgres/postgres/blob/master/src/include/access/xlog_internal.h
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from portal.residue.windows import Piece

PAGE = 8192  # bytes; XLOG_BLCKSZ
SHORT, LONG = 24, 40  # bytes of the two kinds of header
_NAME = re.compile(r"[0-9A-F]{24}(\.partial)?")


def segments(folder: Path) -> list[Path]:
    """The segment files of a log, in order. Recycled ones lie at the end and still hold what they held before."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def pieces(paths: list[Path]) -> Iterator[Piece]:
    """The log as one stream without its page headers."""
    for path in paths:
        with path.open("rb", buffering=64 * PAGE) as file:
            offset = 0
            while page := file.read(PAGE):
                if page.count(0) != len(page):
                    header = _header(page)
                    yield str(path), offset + header, page[header:]
                offset += len(page)


def _header(page: bytes) -> int:
    """The size of a page's header; 0 when this is no page of a log (all magic numbers so far are 0xD0.. or 0xD1..)."""
    if 0xD0 not in page[:2] and 0xD1 not in page[:2]:
        return 0
    return LONG if int.from_bytes(page[2:4], "little") & 2 else SHORT


def is_segment(path: Path) -> bool:
    """Whether a file looks like a segment, wherever it lies (an archive, a base back-up)."""
    if not _NAME.fullmatch(path.name):
        return False
    handle = os.open(path, os.O_RDONLY)
    try:
        return _header(os.read(handle, 4)) > 0
    finally:
        os.close(handle)

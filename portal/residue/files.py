"""Raw files, read without disturbing a database that is open.

SQLite's locks are POSIX locks: closing any handle of a file drops every lock that the process has on it. So the files
of our own databases are opened once and kept open until the very end, and residue runs in a process of its own, never
inside the portal. https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from portal.residue.windows import CHUNK, Piece

PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"PGDMP": "pg_dump's own format",
}


@dataclass
class Held:
    """Handles that stay open until `close`, by path."""

    handles: dict[str, int] = field(default_factory=dict)

    def open(self, path: Path) -> int:
        """A handle for reading. Raises OSError."""
        if str(path) not in self.handles:
            self.handles[str(path)] = os.open(path, os.O_RDONLY)
        return self.handles[str(path)]

    def holds(self, path: Path) -> bool:
        """Whether this very file, under any name, is one of ours."""
        with suppress(OSError):
            found = os.stat(path)
            return any(os.path.samestat(found, os.fstat(handle)) for handle in self.handles.values())
        return False

    def close(self) -> None:
        """To be called when no connection to these databases is open in this process any more."""
        while self.handles:
            os.close(self.handles.popitem()[1])


def pieces(handle: int, place: str, size: int = CHUNK) -> Iterator[Piece]:
    """A file from its beginning to its end."""
    offset = 0
    while data := os.pread(handle, size, offset):
        yield place, offset, data
        offset += len(data)


def pieces_of(path: Path, size: int = CHUNK) -> Iterator[Piece]:
    """The same for a file that is none of our databases'."""
    handle = os.open(path, os.O_RDONLY)
    try:
        yield from pieces(handle, str(path), size)
    finally:
        os.close(handle)


def below(path: Path) -> Iterator[Path | OSError]:
    """A file, or every file under a folder; what is not read comes as an error that says why.

    Links to files elsewhere are followed, links to folders are not: whoever asked names those, too. What a link inside
    the folder points to is met by itself. Pipes and the like are never opened: that could wait for ever.
    """
    if not os.path.isdir(path):  # a method of Path would raise
        try:
            path.lstat()
        except OSError as error:
            yield error
            return
        yield from _readable(path)
        return
    top, troubles = path.resolve(), list[OSError]()
    for folder, folders, names in os.walk(path, onerror=troubles.append):
        folders.sort()
        for name in sorted([*names, *(each for each in folders if Path(folder, each).is_symlink())]):
            found = Path(folder, name)
            if not (found.is_symlink() and _is_met_by_itself(found, top)):
                yield from _readable(found)
        yield from troubles
        troubles.clear()


def _is_met_by_itself(link: Path, top: Path) -> bool:
    with suppress(OSError, RuntimeError):  # a link to itself
        return link.resolve(strict=True).is_relative_to(top)
    return False


def _readable(path: Path) -> Iterator[Path | OSError]:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        if path.is_symlink():  # else it is gone by now
            yield error
    except OSError as error:
        yield error
    else:
        if stat.S_ISREG(mode):
            yield path
        else:
            kind = "a link to a folder: name that one, too" if stat.S_ISDIR(mode) else "no file, but a pipe or the like"
            yield OSError(errno.EINVAL, f"it is {kind}", str(path))


def packing(path: Path) -> str:
    """How a file is compressed, if it is: then its bytes tell nothing."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((name for magic, name in PACKED.items() if start.startswith(magic)), "")

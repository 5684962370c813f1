"""Where to look: the files of both databases, of a PostgreSQL server, and whatever is named besides."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from portal.residue import files, postgres, sqlite, wal
from portal.residue.files import Held
from portal.residue.look import Stream, Where
from portal.residue.report import Report


class Places:
    """All streams of one look: both databases (the main one, then the keys') and what is given besides.

    What cannot be read goes into the report; `close` ends it.
    """

    def __init__(
        self, databases: tuple[Engine, Engine], given: tuple[Path, ...], pgdata: Path | None, report: Report
    ) -> None:
        self._databases = tuple(zip(databases, (Where.ELSEWHERE, Where.KEYS), strict=True))
        self._given, self._pgdata, self._report = given, pgdata, report
        self._held = Held()

    def close(self) -> None:
        """Let go of the files; no connection to our databases may be open in this process any more."""
        self._held.close()

    def streams(self) -> Iterator[Stream]:
        """Everything there is to look through. May be asked twice."""
        servers: set[Path] = set()
        for engine, where in self._databases:
            if engine.dialect.name == "sqlite":
                yield from self._sqlite(Path(str(engine.url.database)), where)
            else:
                yield from self._postgres(engine, where, servers)
        for path in self._given:
            yield from self._named(path)

    def _sqlite(self, database: Path, where: Where) -> Iterator[Stream]:
        try:
            for path in sqlite.files(database):
                yield Stream(str(path), where, partial(files.pieces, self._held.open(path), str(path)))
            for torn in sqlite.torn(database, self._held):
                yield Stream(str(database), where, partial(iter, torn), counts=False)
        except OSError as error:
            self._report.miss(str(error.filename or database), error.strerror or type(error).__name__)

    def _postgres(self, engine: Engine, where: Where, servers: set[Path]) -> Iterator[Stream]:
        name = f"database {engine.url.database}"
        try:
            server = postgres.ask(engine)
            for table, row_pieces in postgres.rows(engine):
                yield Stream(f"{name}, table {table}", where, lambda found=row_pieces: found)  # type: ignore[misc]
        except DBAPIError as error:
            self._report.miss(name, f"the server does not answer ({type(error).__name__})")
            return
        self._report.settings |= server.settings
        pgdata = self._pgdata or server.folder
        if pgdata is None:
            self._report.miss(f"files of {name}", "the server does not tell us where they are; give --pgdata")
            return
        try:
            if not server.owns(pgdata):
                self._report.miss(str(pgdata), "this is the data directory of another server")
                return
        except OSError as error:
            self._report.miss(str(pgdata), error.strerror or type(error).__name__)
            return
        for folder in postgres.folders(pgdata, server.oid):
            yield from self._below(folder, where)
        if pgdata not in servers:
            servers.add(pgdata)
            for folder in postgres.shared(pgdata):
                yield from self._below(folder, Where.ELSEWHERE)
            yield from self._log(pgdata / "pg_wal")

    def _log(self, folder: Path) -> Iterator[Stream]:
        try:
            segments = wal.segments(folder)
        except OSError as error:
            self._report.miss(str(folder), error.strerror or type(error).__name__)
            return
        if self._report.settings.get("wal_compression", "off") not in ("off", ""):
            self._report.miss(str(folder), "wal_compression is on: pages in the write-ahead log cannot be looked into")
        yield Stream(str(folder), Where.WAL, partial(wal.pieces, segments))

    def _below(self, folder: Path, where: Where) -> Iterator[Stream]:
        """Every file of a folder. One that is gone by now was removed by the server: nothing is left of it."""
        for path in files.below(folder):
            if isinstance(path, OSError):
                self._miss(path)
            else:
                yield Stream(str(path), where, partial(files.pieces_of, path))

    def _named(self, named: Path) -> Iterator[Stream]:
        """Every file of what was named; one that cannot be read keeps none of the others from being read."""
        for path in files.below(named):
            if isinstance(path, OSError):
                self._miss(path)
            elif not self._held.holds(path):
                try:
                    yield from self._file(path)
                except OSError as error:
                    self._miss(error)

    def _miss(self, error: OSError) -> None:
        self._report.miss(str(error.filename), error.strerror or type(error).__name__)

    def _file(self, path: Path) -> Iterator[Stream]:
        if packing := files.packing(path):
            self._report.miss(str(path), f"it is compressed ({packing}): unpack it first")
        elif wal.is_segment(path):
            yield Stream(str(path), Where.ELSEWHERE, partial(wal.pieces, [path]))
        else:
            yield Stream(str(path), Where.ELSEWHERE, partial(files.pieces_of, path))
            with path.open("rb") as file:
                is_sqlite = file.read(16) == sqlite.MAGIC
            if is_sqlite:
                for torn in sqlite.torn(path, self._held):
                    yield Stream(str(path), Where.ELSEWHERE, partial(iter, torn), counts=False)

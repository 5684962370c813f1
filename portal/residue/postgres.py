"""PostgreSQL: the files of our databases and of the server's write-ahead log, and the rows as they are now.

Files: https://www.postgresql.org/docs/current/storage-file-layout.html. Rows are read through SQL as well, because
long values may lie compressed in the files; a compressed value that was deleted is beyond us.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from portal.residue.windows import Piece

BOUNDS = (
    *("min_wal_size", "max_wal_size", "checkpoint_timeout", "wal_keep_size", "max_slot_wal_keep_size"),
    *("wal_recycle", "archive_mode", "archive_command", "wal_compression"),
)
WHAT_BOUNDS = (
    "A segment of the write-ahead log is removed or renamed for new use at a checkpoint (checkpoint_timeout, or when "
    "max_wal_size is reached) once no replication slot, wal_keep_size or archiver needs it. One that is renamed keeps "
    "its old bytes until it is written over; min_wal_size says how much is kept so. wal_recycle = off removes instead. "
    "The key database must be left out of archives and base back-ups: what is in them stays."
)


@dataclass(frozen=True)
class Server:
    """What a server says about one of our databases. `folder` is None when it does not tell."""

    oid: int
    identifier: int
    folder: Path | None
    settings: dict[str, str]

    def owns(self, pgdata: Path) -> bool:
        """Whether a data directory is this server's: one with the same path may lie on our machine. Raises OSError."""
        with (pgdata / "global" / "pg_control").open("rb") as control:  # it begins with the system's identifier
            return int.from_bytes(control.read(8), sys.byteorder) == self.identifier


def ask(engine: Engine) -> Server:
    """Where the files of a database are, and the settings that bound its write-ahead log. Raises DBAPIError."""
    with engine.begin() as connection:
        oid = connection.scalar(text("SELECT oid FROM pg_database WHERE datname = current_database()"))
        identifier = connection.scalar(text("SELECT system_identifier FROM pg_control_system()"))
        told = text("SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(:names)")
        settings = {str(row[0]): str(row[1]) for row in connection.execute(told, {"names": list(BOUNDS)})}
    try:
        with engine.begin() as connection:
            folder = Path(str(connection.scalar(text("SHOW data_directory"))))
    except DBAPIError:  # only for superusers and members of pg_read_all_settings
        folder = None
    return Server(int(oid or 0), int(identifier or 0) % 2**64, folder, settings)


def folders(pgdata: Path, oid: int) -> list[Path]:
    """The folders that hold the tables of one database, in table spaces too."""
    return [pgdata / "base" / str(oid), *pgdata.glob(f"pg_tblspc/*/*/{oid}")]


def shared(pgdata: Path) -> list[Path]:
    """What all databases of a server share: temporary files, changes spilled for replication, the server's own log."""
    named = ("base/pgsql_tmp", "pg_tblspc/*/*/pgsql_tmp", "pg_replslot", "log", "pg_log")
    return [path for name in named for path in pgdata.glob(name) if path.exists()]


def rows(engine: Engine) -> Iterator[tuple[str, Iterator[Piece]]]:
    """Every row of every table as text: the table's name, and a stream in which rows stand apart."""
    with engine.begin() as connection:
        tables = connection.scalars(
            text(
                "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
                "WHERE relkind IN ('r', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"
            )
        ).all()
    for table in tables:
        yield table, _rows(engine, table)


def _rows(engine: Engine, table: str) -> Iterator[Piece]:
    """The offset is the number of the row."""
    with engine.connect().execution_options(stream_results=True, max_row_buffer=100) as connection:
        found = connection.execute(text(f"SELECT each::text FROM {table} AS each"))  # noqa: S608 - quoted by the server
        for number, (row,) in enumerate(found):
            yield f"table {table}, row", number, f"{row}\n".encode()

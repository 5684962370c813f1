"""Towns for measuring: real processes on SQLite or on a PostgreSQL of their own, gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kill.postgres import Postgres
from tests.kill.town import Town


@contextmanager
def measured(kind: str) -> Iterator[Town]:
    """A town on `sqlite` or `postgresql`, whose processes are started by the bench's own launcher."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, postgres = Path(name), Postgres() if kind == "postgresql" else None
        if postgres is None:
            urls = f"sqlite:///{folder}/main.db", f"sqlite:///{folder}/keys.db"
        else:
            urls = postgres.make("main"), postgres.make("keys")
        try:
            town = Town(folder, *urls)
            town.launcher = "tests.bench.launch"
            try:
                yield town
            finally:
                town.close()
        finally:
            if postgres is not None:
                postgres.close()


def table(title: str, *rows: tuple[object, ...]) -> None:
    """Print rows in columns, the first one as heads."""
    cells = [[f"{each:.2f}" if isinstance(each, float) else str(each) for each in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    print(f"\n{title}")
    for row in cells:
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)), flush=True)

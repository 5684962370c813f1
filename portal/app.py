"""The table of contents: what the portal is put together from, in order."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate

from portal import config, parts, providers, routes, web
from portal import models as _models  # noqa: F401 - registers the tables
from portal import workflows as _workflows  # noqa: F401 - registers the durable runs
from portal.config import Settings
from portal.db import db, engine_options, prepare
from portal.vault import Vault


def make(settings: Settings | None = None) -> Flask:
    """Make the portal. Settings come from the environment unless given; ConfigError says what is wrong with them."""
    settings = settings or config.load(os.environ)
    app = Flask(
        "portal",
        root_path=str(config.ROOT / "portal"),
        template_folder=str(config.ROOT / "templates"),
        static_folder=str(config.ROOT / "static"),
    )
    configure(app, settings)
    connect_database(app, settings)
    parts.install(app, make_parts(settings))
    web.setup(app)
    routes.setup(app)
    add_commands(app)
    return app


def add_commands(app: Flask) -> None:
    """The commands of a configured portal (`flask demo` needs none of it and is found without an application)."""
    from portal import cli  # here because cli makes applications itself

    cli.setup(app)


def configure(app: Flask, settings: Settings) -> None:
    """Flask's own settings. The session cookie has a name of its own: cookies do not know ports.

    `__Host-` keeps other hosts of the same domain from setting it (RFC 6265bis section 4.1.3.2).
    """
    is_secure = settings.base_url.startswith("https://")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url),
        SESSION_COOKIE_NAME="__Host-coordinoter_session" if is_secure else "coordinoter_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=is_secure,
    )
    app.extensions["settings"] = settings


def connect_database(app: Flask, settings: Settings) -> None:
    """The main database and its migrations."""
    for url in (settings.database_url, settings.keys_url):
        if url.startswith("sqlite:///"):
            Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    db.init_app(app)
    Migrate(app, db, directory=str(config.ROOT / "portal" / "migrations"), compare_type=True)
    with app.app_context():
        prepare(db.engine)


def make_parts(settings: Settings) -> parts.Parts:
    """Vault and providers."""
    return parts.Parts(
        settings=settings,
        vault=Vault(settings.keys_url, settings.token_keys),
        providers=providers.make(
            authority=settings.microsoft_authority,
            graph_url=settings.microsoft_graph_url,
            tenant=settings.microsoft_tenant,
            client_id=settings.microsoft_client_id,
            client_secret=settings.microsoft_client_secret,
            certificate=settings.microsoft_client_certificate,
            timeout=settings.remote_timeout,
            base_url=settings.base_url,
        ),
    )

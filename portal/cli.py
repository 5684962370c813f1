"""The commands: `flask --app wsgi demo`, and `prepare`, `worker`, `keys`, `receipt` of a configured portal."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import sys
import threading
from pathlib import Path

import click
from flask import Flask, current_app
from flask.cli import AppGroup, with_appcontext
from flask_migrate import upgrade
from sqlalchemy import inspect

from portal import create_app, durable, logs, seed
from portal import demo as world
from portal.config import Settings
from portal.db import db
from portal.parts import parts
from portal.residue.command import residue
from portal.workflows import receipt as receipts


@click.command()
@click.option("--reset", is_flag=True, help="Forget all demo data first.")
@click.option("--no-sandbox", is_flag=True, help="Use the provider that the MICROSOFT_* settings name.")
def demo(reset: bool, no_sandbox: bool) -> None:
    """Run the demo world: portal, engine and sandbox Microsoft in this terminal."""
    sys.exit(world.run(os.environ, sandbox=not no_sandbox, prepare=_prepare_demo, afresh=reset))


def _prepare_demo(settings: Settings) -> None:
    app = create_app(settings)
    with app.app_context():
        migrate(app)
        seed.plant()


def migrate(app: Flask) -> None:
    """Bring all three stores up to date: our tables, the engine's, and the key database.

    Raises ClickException for tables that no migration brings to what they have to be.
    """
    upgrade()
    known = inspect(db.engine)
    for table in db.metadata.sorted_tables:
        there = {column["name"] for column in known.get_columns(table.name)} if known.has_table(table.name) else set()
        if missing := [column.name for column in table.columns if column.name not in there]:
            raise click.ClickException(
                f"The database was made by another version of Coordinoter: {table.name} has no {missing[0]}. Before the"
                " first release tables change in place. Take an empty one; `make demo-reset` renews the demo's."
            )
    durable.migrate(app.config["SQLALCHEMY_DATABASE_URI"])
    parts().vault.create_table()


def setup(app: Flask) -> None:
    """Add the commands that need a configured portal; Flask's own `run` must keep secrets out of its log."""
    logs.keep_queries_out()
    for command in (worker, keys, receipt, prepare, residue):
        app.cli.add_command(command)


@click.command()
@with_appcontext
def prepare() -> None:
    """Create or update every table: the portal's, the engine's and the key database's."""
    migrate(current_app._get_current_object())  # type: ignore[attr-defined]


@click.command()
@with_appcontext
def worker() -> None:
    """Run the durable engine alone, until told to stop. Any number may run, on one PostgreSQL."""
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda _signal, _frame: stop.set())
    durable.launch(current_app._get_current_object())  # type: ignore[attr-defined]
    click.echo("The worker is running.")
    stop.wait()
    durable.leave()


keys = AppGroup("keys", help="The portal's own keys.")
"""Found without an application (pyproject.toml), as `demo` is: keys are made before there is any configuration."""


@keys.command("rotate")
def rotate() -> None:
    """Wrap every data key with the first of PORTAL_TOKEN_KEYS, while the portal runs."""
    click.echo(f"{parts().vault.rotate()} data keys were wrapped again.")
    unreadable = sum(each.unreadable for each in parts().vault.census())
    if unreadable:
        raise click.ClickException(
            f"{unreadable} data keys could not be opened and stay as they are: they are damaged, or wrapped by a key "
            "that is not in PORTAL_TOKEN_KEYS (see: flask keys list). Their owners are asked to reconnect."
        )


@keys.command("list")
def list_keys() -> None:
    """Show the ids of the portal's keys and how many data keys each wraps."""
    click.echo(f"{'id':<18}{'':<16}{'data keys':>9}{'unreadable':>12}")
    for each in parts().vault.census():
        click.echo(f"{each.key_id:<18}{each.role:<16}{each.keys:>9}{each.unreadable:>12}")


@keys.command("generate", with_appcontext=False)
def generate() -> None:
    """Print a fresh key for PORTAL_TOKEN_KEYS or PORTAL_RECEIPT_KEYS: 32 random bytes in base64."""
    click.echo(base64.b64encode(secrets.token_bytes(32)).decode())


receipt = AppGroup("receipt", help="Receipts of disconnections.")


@receipt.command("verify")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def verify(file: Path) -> None:
    """Check the signature of a downloaded receipt."""
    try:
        found = receipts.read(file.read_text())
    except (ValueError, RecursionError):
        raise click.ClickException("This is not one of ours as it was downloaded, or it was changed.") from None
    if not receipts.is_of_a_known_key(found):
        raise click.ClickException(
            f"This receipt names the key {found.key_id!r}, which is not in PORTAL_RECEIPT_KEYS: it is not one of ours, "
            "or that key was taken out of them."
        )
    if not receipts.verify(found):
        raise click.ClickException("This receipt is not one of ours, or it was changed.")
    click.echo("This receipt is genuine and unchanged.")

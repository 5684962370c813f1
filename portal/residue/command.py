"""`flask residue`: look through raw bytes, and say what is there without saying any secret."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import click
from flask.cli import with_appcontext
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from portal import clock
from portal.config import Settings
from portal.db import db, reads_only
from portal.keyring import KeysAway
from portal.models import Connection, Disconnection
from portal.parts import parts
from portal.residue.look import Known, Look
from portal.residue.places import Places
from portal.residue.postgres import WHAT_BOUNDS
from portal.residue.report import Report, sentences

YOUNG = timedelta(hours=1)  # a key that is younger may belong to a sign-in whose row is just being written


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--pgdata", type=click.Path(path_type=Path), help="PostgreSQL's data directory, as seen from here.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@with_appcontext
def residue(files: tuple[Path, ...], pgdata: Path | None, as_json: bool) -> None:
    """Look in raw bytes for anything that can still be opened but should not.

    Always looks through both databases' own files (on PostgreSQL: where the server says they are), and through FILES
    and folders besides: logs, copies, back-ups. Run it as a user who may read them. Exit code 0: clean; 1: something
    should not be there; 2: something could not be read; 3: destroyed keys only in a write-ahead log not yet recycled.
    """
    report = look(files, pgdata)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        click.echo("\n".join(sentences(report, WHAT_BOUNDS)))
    click.get_current_context().exit(report.exit_code())


def look(files: tuple[Path, ...] = (), pgdata: Path | None = None) -> Report:
    """Look through both databases and `files`. Not to be called inside a serving portal."""
    report = Report()
    looking = Look(_known(report), report=report)
    places = Places((db.engine, parts().vault.engine), files, pgdata, report)
    try:
        # Our own connections stay open meanwhile: the last one to close would tidy up what we came to look at.
        for stream in places.streams():
            looking.for_keys(stream)
        for stream in places.streams():
            looking.for_secrets(stream)
    finally:
        db.session.remove()
        db.engine.dispose()
        parts().vault.engine.dispose()
        places.close()
    return report


def _known(report: Report) -> Known:
    """What the two databases say. One that does not answer is written down; then nothing counts as living."""
    vault, living, ended = parts().vault, set[str](), set[str]()
    keys: dict[bytes, str] = {}
    try:
        keys = {key: owner for owner, key in vault.opened()}
        old = vault.owners(made_before=clock.now() - YOUNG)
        with reads_only():
            living = set(db.session.scalars(select(Connection.id)))
            ended = set(db.session.scalars(select(Disconnection.connection_id)))
        for owner in sorted(old - living):
            report.add(("key database, row of", 0), "data key of no living connection", owner.encode(), owner=owner)
    except (DBAPIError, KeysAway) as error:
        report.miss("the databases", f"not everything could be asked ({type(error).__name__})")
    db.session.rollback()
    owners = frozenset(living | ended | set(keys.values()))
    return Known(vault.portal_keys, keys, frozenset(living), owners, literals(parts().settings))


def literals(settings: Settings) -> tuple[tuple[str, bytes], ...]:
    """Our own secrets as they are; `clear.py` knows in what other forms they may lie about."""
    named = [
        ("client secret", settings.microsoft_client_secret),
        ("portal secret key", settings.secret_key),
        ("mail password", urlsplit(settings.mail_url).password or ""),
        ("metrics token", settings.metrics_token),
    ]
    found = [(kind, text.encode()) for kind, text in named if len(text) >= 8]
    found += [("portal key", key) for key in settings.token_keys]
    found += [("receipt key", key) for key in settings.receipt_keys]
    return tuple(found)

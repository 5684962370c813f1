"""A stand-in for login.microsoftonline.com and graph.microsoft.com. It is not Microsoft, and says so on every page.

Four ways in: `create_app()` for tests in one process, `run_in_thread()` for tests over a socket,
`python -m portal.sandbox` at the command line, and `/desk` in a browser. It imports nothing of the portal's.
"""

from __future__ import annotations

from flask import Flask

from . import desk, graph, guard, identity, ledger, world
from .config import Config
from .server import run_in_thread
from .storage import Storage

__all__ = ["Config", "Storage", "create_app", "run_in_thread"]


def create_app(config: Config | None = None, storage: Storage | None = None) -> Flask:
    """A whole sandbox as a Flask app with a storage of its own, seeded unless one with people in it is given."""
    app = Flask(__name__, static_url_path="/sandbox-static")
    # Microsoft redirects nobody from one spelling of an address to another, and its JSON has an order of its own.
    app.url_map.redirect_defaults = app.url_map.strict_slashes = False
    app.json.sort_keys = False  # type: ignore[attr-defined]
    world.init_app(app, config or Config(), storage or Storage())
    guard.init_app(app)
    ledger.init_app(app)
    identity.init_app(app)
    graph.init_app(app)
    desk.init_app(app)
    return app

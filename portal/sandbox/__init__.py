"""A stand-in for login.microsoftonline.com and graph.microsoft.com. It is not Microsoft, and says so on every page.

Four ways in: `create_app()` for tests in one process, `run_in_thread()` for tests over a socket,
`python -m portal.sandbox` at the command line, and `/desk` in a browser. It imports nothing of the portal's.
"""

from __future__ import annotations

from flask import Flask

from . import desk, graph, guard, identity, ledger
from .config import Config
from .graph.courier import Courier
from .identity.keys import KeyRing
from .seed import seed
from .server import run_in_thread
from .storage import Storage

__all__ = ["Config", "Storage", "create_app", "run_in_thread"]


def create_app(config: Config | None = None, storage: Storage | None = None) -> Flask:
    """A whole sandbox as a Flask app with its own storage, seeded unless one is given."""
    config = config or Config()
    app = Flask(__name__, static_url_path="/sandbox-static")
    # Microsoft redirects nobody from one spelling of an address to another.
    app.url_map.redirect_defaults = app.url_map.strict_slashes = False
    held = storage or Storage()
    if not held.clients:
        seed(held, config)
    app.extensions["sandbox"] = {"config": config, "storage": held, "keys": KeyRing(), "courier": Courier(held)}
    guard.init_app(app)
    ledger.init_app(app)
    identity.init_app(app)
    graph.init_app(app)
    desk.init_app(app)
    return app

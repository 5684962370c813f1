"""The desk: looking at what Microsoft still holds, and playing Microsoft's side of every misfortune."""

from __future__ import annotations

from flask import Flask

from . import api_accounts, api_mailboxes, api_registrations, api_world, faults, page
from .api import blueprint as api

PARTS = (api_accounts, api_mailboxes, api_registrations, api_world)  # each puts its addresses on `api` when imported


def init_app(app: Flask) -> None:
    app.register_blueprint(page.blueprint)
    app.register_blueprint(api)
    faults.init_app(app)

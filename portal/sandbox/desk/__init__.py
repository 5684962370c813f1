"""The desk: looking at what Microsoft still holds, and playing Microsoft's side of every misfortune."""

from __future__ import annotations

from flask import Flask

from . import api, faults, page


def init_app(app: Flask) -> None:
    app.register_blueprint(page.blueprint)
    app.register_blueprint(api.blueprint)
    faults.init_app(app)

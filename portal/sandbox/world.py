"""What one sandbox is made of: its settings, storage, signing keys, courier, and the file it is kept in."""

from __future__ import annotations

from flask import Flask, Response, request

from .config import Config
from .graph.courier import Courier
from .identity.keys import KeyRing
from .seed import register, seed
from .state import Keeper
from .storage import Storage


def init_app(app: Flask, config: Config, storage: Storage) -> None:
    """Bring the world into being: as it was left, or else as on its first day."""
    keeper = Keeper(storage, config.state_file) if config.state_file else None
    if not (keeper and keeper.restore()) and not storage.people:
        seed(storage, config)
    register(storage, config)
    courier = Courier(storage)
    app.extensions["sandbox"] = {"config": config, "storage": storage, "keys": KeyRing(), "courier": courier}
    if storage.subscriptions:
        courier.watch()
    if keeper:
        app.extensions["sandbox"]["keeper"] = keeper
        keeper.start()

        @app.after_request
        def _touch(answer: Response) -> Response:
            if not request.path.startswith("/sandbox-static"):
                keeper.touch()
            return answer


def close(app: Flask) -> None:
    """Send nothing more, and keep what there is."""
    app.extensions["sandbox"]["courier"].stop()
    keeper: Keeper | None = app.extensions["sandbox"].get("keeper")
    if keeper:
        keeper.stop()

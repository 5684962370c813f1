"""What a request handler needs to know: the storage, the settings, the clock, and the origins to name in answers."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from flask import current_app, request

from .config import LOOPBACK_HOSTS, Config
from .storage import Storage


def storage() -> Storage:
    held: Storage = current_app.extensions["sandbox"]["storage"]
    return held


def config() -> Config:
    held: Config = current_app.extensions["sandbox"]["config"]
    return held


def now() -> datetime:
    return storage().clock.now()


def login_origin() -> str:
    """Where this sandbox plays login.microsoftonline.com: the public URL, else the origin of this request."""
    return config().public_url or request.host_url.rstrip("/")


def graph_origin() -> str:
    """Where this sandbox plays graph.microsoft.com."""
    return config().graph_url or login_origin()


def host_is_ours(host: str) -> bool:
    """Whether a Host (or an Origin's) name is loopback or named by the settings."""
    name = urlsplit(f"//{host}").hostname or ""
    return name in LOOPBACK_HOSTS or name in config().named_hosts

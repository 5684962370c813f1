"""What a running portal is made of besides its database: settings, vault, providers.

Workflows reach them through `parts()`, so that they need to know neither Flask nor which vendor is behind a name.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, current_app

from portal.config import Settings
from portal.providers.base import Provider
from portal.vault import Vault

_KEY = "coordinoter"


@dataclass(frozen=True)
class Parts:
    """The pieces every workflow may need. `providers` is keyed by the integration's slug."""

    settings: Settings
    vault: Vault
    providers: dict[str, Provider]


def install(app: Flask, made: Parts) -> None:
    """Make the parts reachable wherever the application's context is."""
    app.extensions[_KEY] = made


def parts() -> Parts:
    """The parts of the portal at work here."""
    found: Parts = current_app.extensions[_KEY]
    return found

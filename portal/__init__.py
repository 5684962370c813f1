"""Coordinoter's business portal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from portal.config import Settings


def create_app(settings: Settings | None = None) -> Flask:
    """Make the portal; `portal/app.py` is its table of contents. Raises ConfigError in one sentence.

    Imported only when called, so that the sandbox, which is a package in here, can run without any of the portal.
    """
    from portal.app import make

    return make(settings)

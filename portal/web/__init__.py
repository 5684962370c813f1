"""What every page needs: guards, headers, errors, htmx, dates. `setup` is all that create_app calls."""

from __future__ import annotations

from flask import Flask

from portal.web import (
    assets,
    characters,
    csrf,
    elsewhere,
    errors,
    filters,
    guards,
    headers,
    hosts,
    htmx,
    limits,
    live,
    page_names,
    plain_markdown,
    reading,
    sizes,
)


def setup(app: Flask) -> None:
    """Install everything. The order is the order in which a request meets the checks."""
    hosts.setup(app)
    reading.setup(app)
    limits.setup(app)
    sizes.setup(app)
    characters.setup(app)
    csrf.setup(app)
    guards.setup(app)
    errors.setup(app)
    filters.setup(app)
    page_names.setup(app)
    plain_markdown.setup(app)
    elsewhere.setup(app)
    assets.setup(app)
    htmx.setup(app)
    live.setup(app)
    headers.setup(app)

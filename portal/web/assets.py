"""Addresses of static files that carry a hash of their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, current_app, url_for


def setup(app: Flask) -> None:
    """Give templates `asset(name)`."""
    app.add_template_global(asset)


def asset(name: str) -> str:
    """The address of a file under static/."""
    path = Path(str(current_app.static_folder)) / name
    return url_for("static", filename=name, v=fingerprint(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=256)
def fingerprint(path: Path, _changed: int) -> str:
    """A short hash of the file's bytes; the time of change only invalidates the cache."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]

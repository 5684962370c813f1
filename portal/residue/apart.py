"""Look from within the portal: in a process of its own, since reading raw files drops SQLite's locks (`files.py`)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from portal.config import ROOT

COMMAND = [sys.executable, "-m", "flask", "--app", "wsgi", "residue", "--json"]


class CouldNotLook(Exception):
    """The command did not run to its end. The text names no secret."""


def look_apart(*, seconds: float = 3600) -> dict[str, Any]:
    """The report of `flask residue --json` (`Report.as_json`), run with our own environment. Raises CouldNotLook."""
    try:
        ran = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
        report: dict[str, Any] = json.loads(ran.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise CouldNotLook(type(error).__name__) from None
    return report

"""Find a Chromium for the browser tests, or get one: `python -m tests.browser` prints its path.

The one named by CHROMIUM; else one that is installed; else, as root on Debian, its package; else Playwright's own
installer; else one clear sentence. Nothing is skipped silently.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
SENTENCE = (
    "The browser tests need Chromium and none was found or could be installed: install it (on Debian: "
    "apt-get install chromium), or name one with CHROMIUM=/path/to/chromium make test."
)


def find() -> str | None:
    """The path of a Chromium on this machine, or None."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    for name in NAMES:
        if path := shutil.which(name):
            return path
    return next((path for path in (*MAC, _playwrights()) if path and Path(path).exists()), None)


def get() -> str:
    """The same, installing one if need be. Exits with one sentence when that is not possible."""
    path = find() or _install_package() or _install_playwrights()
    if path is None:
        sys.exit(SENTENCE)
    return path


def _install_package() -> str | None:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    print("Installing Debian's chromium for the browser tests ...", file=sys.stderr, flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium"]
    for command in (install, ["apt-get", "update", "--quiet"], install):
        done = subprocess.run(command, env=env, check=False, stdout=subprocess.DEVNULL)
        if command is install and done.returncode == 0:
            return find()
    return None


def _install_playwrights() -> str | None:
    done = subprocess.run(
        [sys.executable, "-m", "playwright", "install", "chromium"], check=False, stdout=subprocess.DEVNULL
    )
    return find() if done.returncode == 0 else None


def _playwrights() -> str | None:
    from playwright.sync_api import sync_playwright

    try:
        with sync_playwright() as playwright:
            return playwright.chromium.executable_path
    except Exception:
        return None


if __name__ == "__main__":
    print(f"Browser tests use {get()}")

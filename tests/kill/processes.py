"""Real processes that can be killed: each in a process group of its own, its words in a file."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from portal.config import ROOT


class Child:
    """One process (with its children) that was started here and is ended here."""

    def __init__(self, name: str, argv: list[str], env: Mapping[str, str], folder: Path) -> None:
        self.name, self.argv, self.env, self.log = name, argv, dict(env), folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Child:
        """Start it, or start it again."""
        assert not self.is_alive(), f"{self.name} runs already"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv, env=self.env, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        return self

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        """Send a signal to it and all its children, unless it has ended: its number may be somebody else's by now."""
        if self.is_alive():
            assert self.process is not None
            os.killpg(self.process.pid, number)  # its end was not asked for yet, so the number is still its own

    def kill(self) -> None:
        """SIGKILL, to the last child."""
        self.signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)

    def terminate(self, *, timeout: float = 15) -> float:
        """SIGTERM to the process itself, as a supervisor would; returns the seconds until it was gone."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        self.process.wait(timeout)
        return time.monotonic() - began

    def says(self, words: str, *, since: int = 0) -> bool:
        """Whether these words are in what it wrote (after byte `since`)."""
        return self.log.exists() and words.encode() in self.log.read_bytes()[since:]


def python(*args: str) -> list[str]:
    """A command line for this very Python."""
    return [sys.executable, *args]


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], what: str, *, within: float, every: float = 0.05) -> float:
    """Wait until something is true; returns the seconds it took. Fails with `what` when it takes too long."""
    began = time.monotonic()
    while time.monotonic() - began < within:
        if true():
            return time.monotonic() - began
        time.sleep(every)
    raise AssertionError(f"not within {within:g} s: {what}")

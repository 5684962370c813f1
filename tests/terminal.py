"""The demo world in a terminal of its own, as `make demo` runs it: started, read, and never left running."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
MARK = "TEST_TERMINAL"
AMBIENT = ("PORTAL_", "MICROSOFT_", "SANDBOX_", "FLASK_", "GUNICORN_")
DEMO = ("-m", "flask", "--app", "wsgi", "demo")
PATIENCE = 120.0  # seconds: the machine may be busy, and what works is there much sooner


def free_port() -> int:
    """A port nobody listens on, and none that the system hands out to outgoing connections."""
    while True:
        port = random.randint(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(**settings: str) -> dict[str, str]:
    """This machine's environment without any setting of ours, nor of an `.env` that lies about; then `settings`."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(AMBIENT) and name != "PORT"}
    return {**clean, "PYTHON_DOTENV_DISABLED": "1", "FLASK_SKIP_DOTENV": "1", **settings}


def until(found: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for a condition; its value."""
    end = time.monotonic() + patience
    while not (value := found()):
        assert time.monotonic() < end, f"waited {patience:.0f} seconds in vain: {what}"
        time.sleep(0.05)
    return value


class Terminal:
    """One command in a process group of its own, its output in files."""

    def __init__(self, folder: Path, *arguments: str, **settings: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        number, self.mark = len(list(folder.glob("*.out"))), uuid.uuid4().hex
        self.out_file, self.err_file = folder / f"{number}.out", folder / f"{number}.err"
        with self.out_file.open("wb") as out, self.err_file.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=environment(**settings, **{MARK: self.mark}),
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        self.group = self.process.pid

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.kill()
        if error is not None:
            print(f"--- stdout\n{self.out}\n--- stderr\n{self.err}")

    @property
    def out(self) -> str:
        return self.out_file.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self.err_file.read_text(errors="replace")

    def wait_for(self, sentence: str) -> Terminal:
        """Until the sentence was printed. Fails at once when the command ended without it."""

        def said() -> bool:
            ended = self.process.poll() is not None
            if sentence in self.out:
                return True
            assert not ended, f"ended with {self.process.returncode}:\n{self.out}\n{self.err}"
            return False

        until(said, f"{sentence!r} in:\n{self.out}\n{self.err}")
        return self

    def end(self) -> int:
        """Until the command ends by itself; its exit code."""
        return self.process.wait(PATIENCE)

    def interrupt(self) -> int:
        """Ctrl-C, which a terminal sends to the whole group; the exit code."""
        assert self.process.poll() is None, f"it has ended already:\n{self.err}"
        os.killpg(self.group, signal.SIGINT)
        return self.end()

    def kill(self) -> None:
        """SIGKILL to the whole group, and nothing of it is left."""
        if self.process.returncode is None:  # until it was waited for, its number can be nobody else's
            with suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)
            self.process.wait(PATIENCE)
        for process in self.members():
            with suppress(psutil.Error):
                process.kill()
        until(lambda: not self.members(), "the killed processes to vanish")

    def members(self) -> list[psutil.Process]:
        """Everything of ours that lives in the process group. Numbers are used again: what is ours bears a mark."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                if os.getpgid(process.pid) != self.group or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.environ().get(MARK) == self.mark:
                    found.append(process)
        return found

    def worker(self) -> psutil.Process:
        """The gunicorn process that serves the portal: the child of gunicorn's own first process."""
        masters = [each for each in psutil.Process(self.group).children() if "gunicorn" in each.cmdline()]
        children = [child for master in masters for child in master.children()]
        assert len(children) == 1, children
        return children[0]


class Demo(Terminal):
    """`flask --app wsgi demo` on free ports, its data in `var`."""

    def __init__(self, var: Path, *options: str, port: int = 0, sandbox_port: int = 0, **settings: str) -> None:
        self.port, self.sandbox_port = port or free_port(), sandbox_port or free_port()
        self.var = var
        super().__init__(
            var.with_name(f"{var.name}-output"),
            *DEMO,
            *options,
            PORT=str(self.port),
            SANDBOX_PORT=str(self.sandbox_port),
            PORTAL_VAR=str(var),
            **settings,
        )
        self.url = settings.get("PORTAL_BASE_URL") or f"http://127.0.0.1:{self.port}"
        self.sandbox_url = f"http://127.0.0.1:{self.sandbox_port}"


@contextmanager
def running(var: Path, *options: str, **more: Any) -> Iterator[Demo]:
    """A demo world that is up; killed at the end of the with block."""
    with Demo(var, *options, **more) as demo:
        demo.wait_for("Coordinoter is running")
        yield demo

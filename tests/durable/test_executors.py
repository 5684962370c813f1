"""Who lives: told by silence everywhere, and at once where process numbers mean something."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, update

from portal import clock
from portal.db import db, make_engine
from portal.durable import executors
from portal.models import Executor
from tests.world import World


@pytest.fixture
def pulse(both: World) -> Iterator[Engine]:
    """The connections that signs of life use."""
    engine = make_engine(both.app.config["SQLALCHEMY_DATABASE_URI"])
    yield engine
    engine.dispose()


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process on this machine."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def identity_of(process: subprocess.Popen[bytes]) -> str:
    return f"{executors.machine()}:{process.pid}:{executors._started(process.pid)}"


def silence(identity: str, long: timedelta) -> None:
    """Make its last sign of life so old."""
    db.session.execute(update(Executor).where(Executor.id == identity).values(seen_at=clock.now() - long))
    db.session.commit()


def test_it_works(pulse: Engine) -> None:
    executors.beat(pulse, executors.me())
    executors.beat(pulse, executors.me())
    assert executors.living(pulse) == {executors.me()}
    executors.leave(pulse, executors.me())
    assert executors.living(pulse) == set()


def test_silence_is_death(pulse: Engine) -> None:
    here, far = executors.STUCK_AFTER[pulse.dialect.name], executors.DEAD_AFTER[pulse.dialect.name]
    for identity, patience in ((executors.me(), here), ("elsewhere~000000000000:1:1", far)):
        executors.beat(pulse, identity)
        silence(identity, patience - timedelta(seconds=2))
        assert executors.living(pulse) == {identity}
        silence(identity, patience + timedelta(seconds=2))
        assert executors.living(pulse) == set()
        executors.beat(pulse, identity)
        assert executors.living(pulse) == {identity}, "whoever wakes up lives again"
        executors.leave(pulse, identity)


def test_a_process_that_is_gone_is_dead_at_once(pulse: Engine, other: subprocess.Popen[bytes]) -> None:
    identity = identity_of(other)
    executors.beat(pulse, identity)
    assert executors.living(pulse) == {identity}
    os.kill(other.pid, signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert executors.living(pulse) == set(), "dead, though its parent has not asked for it yet (a zombie)"
    other.wait()
    assert executors.living(pulse) == set()


def test_a_number_that_is_used_again_is_another_process(pulse: Engine, other: subprocess.Popen[bytes]) -> None:
    executors.beat(pulse, f"{executors.machine()}:{other.pid}:1")
    assert executors.living(pulse) == set()


def test_on_another_machine_numbers_mean_nothing(pulse: Engine) -> None:
    executors.beat(pulse, "elsewhere~000000000000:1:1")
    assert executors.living(pulse) == {"elsewhere~000000000000:1:1"}


def test_another_container_with_the_same_host_name_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = executors.machine()
    monkeypatch.setattr("portal.durable.executors.os.readlink", lambda _path: "pid:[1]")
    assert executors.machine() != here
    assert executors.machine().split("~")[0] == here.split("~")[0]


def test_the_longest_host_name_fits(monkeypatch: pytest.MonkeyPatch, pulse: Engine) -> None:
    monkeypatch.setattr("portal.durable.executors.socket.gethostname", lambda: "h" * 64)
    monkeypatch.setattr("portal.durable.executors.os.getpid", lambda: 4194304)
    monkeypatch.setattr("portal.durable.executors._started", lambda _pid: "9" * 12)
    assert len(executors.me()) <= Executor.__table__.c.id.type.length  # type: ignore[attr-defined]


def test_the_long_dead_are_forgotten(pulse: Engine) -> None:
    executors.beat(pulse, "gone~000000000000:1:1")
    silence("gone~000000000000:1:1", timedelta(days=2))
    executors.beat(pulse, executors.me())
    assert list(db.session.scalars(select(Executor.id))) == [executors.me()]

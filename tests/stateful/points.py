"""Points in a whole portal: where a thread of it can be stopped while somebody else acts.

Before and after each call to the vendor, before each transaction begins, and right before it commits. The order is
given by the schedules of `tests/race`; here the vendor is the sandbox, and everything else is as it runs for people.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.orm import Session

from portal import durable
from portal import parts as portal_parts
from portal.db import db
from portal.parts import parts
from portal.providers.base import Provider
from portal.workflows import tokens
from tests.race.locks import Locks, PostgresLocks, SqliteLocks
from tests.race.schedules import ALL, switches
from tests.race.turns import Turns

QUICK = {"can_revoke", "consent_page", "handover", "parse_notifications", "key", "title"}
"""What a provider answers without a call (or may)."""


class Pausing:
    """A provider with a point before and after each of its calls."""

    def __init__(self, provider: Provider, pause: Callable[[str], None]) -> None:
        self._provider, self._pause = provider, pause

    def __getattr__(self, name: str) -> Any:
        honest = getattr(self._provider, name)
        if name in QUICK:
            return honest

        def call(*args: Any, **more: Any) -> Any:
            self._pause(f"{name}: before")
            try:
                return honest(*args, **more)
            finally:
                self._pause(f"{name}: after")

        return call


class Points:
    """The points of one application, between its start and its stop."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.turns: Turns | None = None
        url = app.extensions["settings"].database_url
        self.locks: Locks = SqliteLocks() if url.startswith("sqlite") else PostgresLocks(url)

    def _pause(self, label: str) -> None:
        if self.turns is not None:
            self.turns.pause(label)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within this block (and the application's context) they are there."""

        def begins(*_connection: Any) -> None:
            self._pause("begin")

        def commits(_session: Any) -> None:
            self._pause("commit")

        pausing: dict[str, Any] = {key: Pausing(each, self._pause) for key, each in parts().providers.items()}
        portal_parts.install(self.app, replace(parts(), providers=pausing))
        engine = db.engine
        with ExitStack() as stack:
            event.listen(engine, "checkout", begins)
            stack.callback(event.remove, engine, "checkout", begins)
            stack.enter_context(self.locks.watching(engine))
            event.listen(Session, "before_commit", commits)
            stack.callback(event.remove, Session, "before_commit", commits)
            yield

    def interrupt(self, work: Callable[[], Any], at: int, other: Callable[[], Any]) -> Turns:
        """Let `work` pass so many points, then `other` do all it wants, then `work` end: each in a thread."""
        self.turns = turns = Turns(switches(("work", at), ("other", ALL), ("work", ALL)), locked=self.locks.locked)
        turns.add("work", lambda: self._apart(work))
        turns.add("other", lambda: self._apart(other))
        db.session.rollback()
        self.locks.follow(turns)
        with pytest.MonkeyPatch.context() as patch:  # whoever would sleep lets the other one move
            patch.setattr(tokens, "time", SimpleNamespace(sleep=lambda _seconds: turns.pause("sleep")))
            patch.setattr(durable, "pause", lambda _seconds, _topic="": self._wait(turns))
            try:
                turns.run()
            finally:
                self.locks.follow(None)
                self.turns = None
        return turns

    def _wait(self, turns: Turns) -> None:
        time.sleep(0.02)
        turns.pause("wait")

    def _apart(self, work: Callable[[], Any]) -> Any:
        with self.app.app_context():
            try:
                return work()
            finally:
                db.session.remove()

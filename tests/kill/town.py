"""A whole town of real processes: the portal's web and workers, the sandbox Microsoft, and people who click.

The test itself looks in through a portal of its own on the same database, whose engine does not run.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import requests
from argon2 import PasswordHasher
from flask import Flask
from sqlalchemy import select

from portal import create_app
from portal.cli import migrate
from portal.config import load
from portal.db import db
from portal.models import Business, Connection, Disconnection, Member
from portal.models.connection import CONNECTED
from portal.parts import parts
from tests import invariants
from tests.kill.processes import Child, free_port, python, until
from tests.pages import read
from tests.world import CLIENT_ID, CLIENT_SECRET, PASSWORD, Microsoft, Visitor

DEADLINE = 240.0  # seconds a disconnection tries remote steps: out of the way, unless a test is about it
CALM = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}


@dataclass
class Person:
    """A member of the portal, their mailbox at Microsoft, and the two browsers they use."""

    number: int
    email: str
    account: str
    inside: Visitor  # connects, within the test
    outside: requests.Session = field(default_factory=requests.Session)  # clicks, at the real web process

    def sign_in(self, url: str) -> None:
        """Sign in at the real web process."""
        self.outside.cookies.clear()
        page = self.outside.get(f"{url}/sign-in", timeout=20)
        data = {"email": self.email, "password": PASSWORD, "csrf_token": _csrf(page.text)}
        self.outside.post(f"{url}/sign-in", data=data, timeout=20).raise_for_status()

    def click(self, url: str, connection_id: str, **choices: str) -> int:
        """Read the question, choose, press Disconnect. The status of the answer; 0 when nobody answered."""
        try:
            address = f"{url}/connections/{connection_id}/disconnect"
            page = self.outside.get(address, timeout=20)
            data = {"csrf_token": _csrf(page.text), **choices} if page.ok else {}
            return self.outside.post(address, data=data, timeout=20, allow_redirects=False).status_code
        except requests.RequestException:
            return 0


def _csrf(page: str) -> str:
    found = read(page).find("input", {"name": "csrf_token"})
    return str(found["value"]) if found else ""


class Town:
    """Settings, processes and people of one test. `plan` is the folder of chosen instants (see `launch.py`)."""

    def __init__(self, folder: Path, database_url: str, keys_url: str, *, deadline: float = DEADLINE) -> None:
        self.folder, self.plan, self.launcher = folder, folder / "plan", "tests.kill.launch"
        self.plan.mkdir()
        port, sandbox_port = free_port(), free_port()
        self.url, self.bind = f"http://127.0.0.1:{port}", f"127.0.0.1:{port}"
        self.microsoft = Microsoft(f"http://127.0.0.1:{sandbox_port}")
        self.env = CALM | {
            "HOME": str(folder),
            "PORTAL_DEMO": "1",
            "PORTAL_BASE_URL": self.url,
            "PORTAL_SECRET_KEY": "s" * 40,
            "PORTAL_TOKEN_KEYS": "dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHR0dHQ=",
            "PORTAL_RECEIPT_KEYS": "cnJycnJycnJycnJycnJycnJycnJycnJycnJycnJycnI=",
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_KEYS_URL": keys_url,
            "PORTAL_VAR": str(folder / "var"),
            "PORTAL_ENGINE": "none",
            "PORTAL_DISCONNECT_DEADLINE": str(deadline),
            "PORTAL_REMOTE_TIMEOUT": "15",
            "MICROSOFT_AUTHORITY": self.microsoft.url,
            "MICROSOFT_GRAPH_URL": self.microsoft.url,
            "MICROSOFT_CLIENT_ID": CLIENT_ID,
            "MICROSOFT_CLIENT_SECRET": CLIENT_SECRET,
            "SANDBOX_PORT": str(sandbox_port),
            "SANDBOX_CLIENT_ID": CLIENT_ID,
            "SANDBOX_CLIENT_SECRET": CLIENT_SECRET,
            "SANDBOX_REDIRECT_URIS": f"{self.url}/integrations/outlook-calendar/callback",
        }
        self.children: list[Child] = []
        self.people: list[Person] = []
        self.app: Flask = create_app(load(self.env))
        with self.app.app_context():
            migrate(self.app)

    # --- processes ---

    def sandbox(self) -> Child:
        """The sandbox Microsoft, up and answering."""
        child = self._child("sandbox", python("-m", "portal.sandbox"), self.env)
        until(lambda: _answers(f"{self.microsoft.url}/desk/api/clock"), "the sandbox answers", within=30)
        return child

    def web(self, *, engine: bool, planned: bool = False) -> Child:
        """Gunicorn as `make demo` starts it, with the engine inside or not; waits for its first answer."""
        flags = ["--bind", self.bind, "--worker-class", "gthread", "--workers", "1", "--threads", "64"]
        flags += ["--graceful-timeout", "5", "--no-control-socket", "--log-level", "warning"]
        plain = python("-m", "gunicorn", "wsgi:app", *flags)
        argv = python("-m", self.launcher, str(self.plan), "web", *flags) if planned else plain
        child = self._child("web", argv, self.env | {"PORTAL_ENGINE": "embedded" if engine else "none"})
        self.wait_for_web()
        return child

    def worker(self, name: str, *, planned: str = "") -> Child:
        """`flask worker`, running; or the launcher's `planned` kind of it."""
        plain = python("-m", "flask", "--app", "wsgi", "worker")
        argv = python("-m", self.launcher, str(self.plan), planned) if planned else plain
        child = self._child(name, argv, self.env)
        until(lambda: child.says("The worker is running."), f"{name} runs", within=60)
        return child

    def wait_for_web(self) -> None:
        """Wait until the portal answers, its database too."""
        until(lambda: _answers(f"{self.url}/healthz"), "the portal answers", within=60)

    def _child(self, name: str, argv: list[str], env: dict[str, str]) -> Child:
        child = Child(name, argv, env, self.folder)
        self.children.append(child)
        return child.start()

    @contextmanager
    def supervised(self, *children: Child) -> Iterator[None]:
        """Start these again whenever they die, as a supervisor would."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.05):
                for child in children:
                    if not child.is_alive():
                        child.start()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def close(self) -> None:
        """End every process, whatever state it is in."""
        for child in self.children:
            child.kill()
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
            parts().vault.engine.dispose()
        if "durable" in self.app.extensions:
            self.app.extensions["durable"].destroy()

    # --- people ---

    def settle(self, number: int) -> None:
        """So many members, each with a mailbox at Microsoft, signed in at the web process."""
        with self.app.app_context():
            hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
            business = Business(name="Northwind Traders")
            db.session.add(business)
            db.session.flush()
            for each in range(number):
                email = f"member{each}@northwind.example"
                db.session.add(Member(business_id=business.id, email=email, name=f"M {each}", password_hash=hashed))
            db.session.commit()
        for each in range(number):
            account = f"mailbox{each}@contoso.example"
            self.microsoft.desk("POST", "accounts", address=account, name=f"Mailbox {each}", events=False)
            self.microsoft.desk("POST", f"accounts/{account}/events", count=3)
            person = Person(each, f"member{each}@northwind.example", account, Visitor(self.app))
            with self.looking():
                person.inside.get("/sign-in")
                person.inside.press("Sign in", email=person.email, password=PASSWORD)
            person.sign_in(self.url)
            self.people.append(person)

    def connect(self, *people: Person, within: float = 60) -> list[str]:
        """Connect their calendars and wait until the engine has synced them; the ids of the connections."""
        for person in people:
            with self.looking():
                person.inside.connect(person.account)
        ids = [self.connection_of(person) for person in people]
        until(lambda: not self._unsynced(ids), "every new connection is synced", within=within, every=0.1)
        return ids

    def connection_of(self, person: Person) -> str:
        """The id of a person's living connection."""
        with self.looking():
            found = db.session.scalar(
                select(Connection.id)
                .join(Member, Member.id == Connection.member_id)
                .where(Member.email == person.email, Connection.state == CONNECTED)
            )
            assert found is not None, f"{person.email} is not connected"
            return found

    def _unsynced(self, ids: list[str]) -> list[str]:
        with self.looking():
            wanted = Connection.sync_wanted_at.is_not(None) | Connection.last_sync_at.is_(None)
            return list(db.session.scalars(select(Connection.id).where(Connection.id.in_(ids), wanted)))

    def click(self, person: Person, connection_id: str, *, within: float = 60) -> Disconnection:
        """Press Disconnect until it is certain that the click arrived, as a person would."""
        seen: list[Disconnection] = []  # looked at once: PostgreSQL may be killed before another look

        def arrives() -> bool:
            if person.click(self.url, connection_id) in (200, 303):
                found = self.disconnection(connection_id)
                seen.extend([found] if found is not None else [])
            return bool(seen)

        until(arrives, "the click arrives", within=within, every=0.3)
        return seen[0]

    # --- looking in ---

    @contextmanager
    def looking(self) -> Iterator[None]:
        """An application context of the test's own portal; its session is gone afterwards."""
        with self.app.app_context():
            yield

    def disconnection(self, connection_id: str) -> Disconnection | None:
        """The disconnection of a connection as it stands, steps included."""
        with self.looking(), suppress_lost_database():
            found = db.session.scalar(select(Disconnection).where(Disconnection.connection_id == connection_id))
            if found is not None:
                _ = [step.outcome for step in found.steps]
                db.session.expunge_all()
            return found
        return None

    def unfinished(self) -> list[str]:
        """The connections whose disconnection has begun and not ended."""
        with self.looking():
            asked = select(Disconnection.connection_id).where(Disconnection.finished_at.is_(None))
            return list(db.session.scalars(asked))

    def until_at_rest(self, ids: list[str], *, within: float) -> None:
        """Wait until these disconnections have ended and no run of theirs is left."""

        def rested() -> bool:
            with self.looking():
                try:
                    invariants.every_disconnection_ended(ids)
                    invariants.the_engine_is_at_rest(ids)
                except AssertionError:
                    return False
                return True

        try:
            until(rested, "everything is at rest", within=within, every=0.2)
        except AssertionError:
            with self.looking():
                invariants.every_disconnection_ended(ids)
                invariants.the_engine_is_at_rest(ids)
            raise

    def until_all_ended(self, *, within: float) -> float:
        """Wait until no disconnection is unfinished; returns the seconds it took."""
        return until(lambda: not self.unfinished(), "every disconnection ended", within=within, every=0.1)


@contextmanager
def suppress_lost_database() -> Iterator[None]:
    """A database that was killed a moment ago may be away, for the test as for everybody."""
    from portal import durable

    try:
        yield
    except Exception as error:
        if not durable.is_away(error):
            raise


def _answers(address: str) -> bool:
    with suppress(requests.RequestException):
        return requests.get(address, timeout=2).ok
    return False

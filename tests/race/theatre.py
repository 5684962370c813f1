"""A portal whose vendor is in memory, the parts that threads can play in it, and the judge of what they left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Flask
from sqlalchemy import select

from portal import parts as portal_parts
from portal.db import db, reads_only
from portal.models import Connection, Disconnection, Member, Placement, Token
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.vault import CannotOpen
from portal.workflows import connect, sync, tokens
from tests import always
from tests.race import snapshot
from tests.race.locks import Locks
from tests.race.snapshot import Snapshot
from tests.race.turns import Schedule, Turns
from tests.race.vendor import Vendor

OUTLOOK = "outlook-calendar"
ALICE = "alice@northwind.example"
SEVERING = {"disconnect", "twin", "second"}
"""Threads that carry out a disconnection: they alone may refresh and store after the fence."""


@dataclass
class Scene:
    """One play: its actors' threads, the connection they fight over, and what the witness saw."""

    theatre: Theatre
    turns: Turns
    vendor: Vendor
    connection_id: str
    epoch: int
    member_id: str
    attempts: dict[str, dict[str, str]] = field(default_factory=dict)
    witness: always.Witness = field(default_factory=always.Witness)
    seen: list[str] = field(default_factory=list)
    held: set[tuple[object, ...]] | None = None  # every row that the connection held then
    fenced_with: str = ""  # the access token that was stored at the moment of the fence

    def watch(self) -> None:
        """Look at what may only shrink; called by the disconnecting thread, between its steps."""
        # A look takes no lock: on SQLite it would have to wait for whoever writes at this moment.
        with self.turns.silently(), reads_only():
            self.seen += self.witness.look_back()
            self.seen += self._rows_written_after_the_fence()
            self.seen += self._tokens_stored_after_the_fence()

    def _rows_written_after_the_fence(self) -> list[str]:
        """None is new or changed, but those that the disconnection itself may write: tokens (looked at apart), and
        meetings that it finds at the vendor."""
        own = (Token.__tablename__, Placement.__tablename__)
        rows = {row for row in always.held(self.connection_id) if row[0] not in own}
        late = set() if self.held is None else rows - self.held
        self.held = rows
        return [f"nothing_is_written_after_the_fence: {row[0]} was written" for row in late]

    def _tokens_stored_after_the_fence(self) -> list[str]:
        """After the fence only the disconnection itself may store what it was given."""
        row = db.session.get(Token, self.connection_id)
        sealed = row.access_sealed if row else None
        db.session.rollback()
        if sealed is None:
            return []
        try:
            access = parts().vault.open(self.connection_id, tokens.ACCESS, sealed)
        except CannotOpen:
            return []
        self.fenced_with = self.fenced_with or access
        to = next(each.to for each in self.vendor.issued if each.access == access)
        if access != self.fenced_with and to not in SEVERING:
            return [f"a token won by {to} was stored after the fence"]
        return []


@dataclass
class Theatre:
    """One application and its databases, used for many plays, one after the other."""

    app: Flask
    locks: Locks
    turns: Turns | None = None
    inside: bool = False  # whether there are points inside transactions too: then threads wait for locks
    _begun: dict[tuple[bool, bool], tuple[Snapshot, Vendor]] = field(default_factory=dict)

    def pause(self, label: str) -> None:
        """A point of the play at hand; nothing between two plays."""
        if self.turns is not None:
            self.turns.pause(label)

    @contextmanager
    def scene(self, schedule: Schedule, *, revokes: bool = False, synced: bool = True) -> Iterator[Scene]:
        """A fresh connection of Alice's, and a play about it."""
        if (revokes, synced) in self._begun:
            rows, vendor = self._begun[revokes, synced]
            rows.put_back()
        else:
            vendor = self._connect(revokes=revokes, synced=synced)
            self._begun[revokes, synced] = (Snapshot.take(), vendor)
        vendor = vendor.copy()
        self._install(vendor)
        connection_id, epoch, member_id = db.session.execute(
            select(Connection.id, Connection.epoch, Connection.member_id)
        ).one()
        db.session.rollback()
        scene = Scene(self, Turns(schedule, locked=self.locks.locked), vendor, connection_id, epoch, member_id)
        try:
            yield scene
        finally:
            self.turns = None

    def _connect(self, *, revokes: bool, synced: bool) -> Vendor:
        snapshot.clear()
        self._install(vendor := Vendor(revokes=revokes))
        member_id = db.session.scalars(select(Member.id).where(Member.email == ALICE)).one()
        db.session.rollback()
        connection_id = connect.finish(member_id, OUTLOOK, "browser", self.attempt(member_id)).id
        db.session.rollback()
        if synced:
            sync.sync(connection_id)
        return vendor

    def _install(self, vendor: Vendor) -> None:
        portal_parts.install(self.app, replace(parts(), providers={OUTLOOK: vendor}))

    def attempt(self, member_id: str, *, replaces: Connection | None = None) -> dict[str, str]:
        """Somebody has left for the vendor's page: the parameters with which they will come back."""
        url = connect.start(member_id, OUTLOOK, "browser", replaces=replaces)
        return {"state": url.partition("state=")[2], "code": "code"}

    def play(self, scene: Scene, actors: dict[str, Callable[[Scene], Any]]) -> None:
        """Let the actors play, each in a thread with an application context of its own."""
        for name, work in actors.items():
            scene.turns.add(name, lambda work=work: self._on_stage(scene, work))
        db.session.rollback()
        self.turns, scene.vendor.pause = scene.turns, scene.turns.pause
        self.locks.follow(scene.turns)
        try:
            scene.turns.run()
        finally:
            self.locks.follow(None)
            self.turns, scene.vendor.pause = None, lambda _label: None

    def _on_stage(self, scene: Scene, work: Callable[[Scene], Any]) -> Any:
        with self.app.app_context():
            try:
                return work(scene)
            finally:
                db.session.remove()

    def judge(self, scene: Scene) -> list[str]:
        """Everything that is wrong when the play is over."""
        vendor = scene.vendor
        wrong = [*scene.seen, *vendor.complaints]
        for actor in scene.turns.actors.values():
            if actor.error is not None:
                wrong.append(f"{actor.name} broke: {type(actor.error).__name__}: {actor.error}")
        wrong += scene.witness.look()
        wrong += always.subscriptions_at_the_vendor_are_known_or_told(
            (each.id, each.expires_at) for each in vendor.subscribed.values()
        )
        wrong += always.living_access_tokens_are_known_or_told(each.ends for each in vendor.issued if each.access_lives)
        wrong += self._meetings(scene)
        wrong += self._reconnected(scene)
        return wrong

    def _reconnected(self, scene: Scene) -> list[str]:
        """After a Reconnect the tokens at hand descend from it: a refresh of the old ones does not come back."""
        moved_on = select(Connection.id).where(Connection.id == scene.connection_id, Connection.state == CONNECTED)
        row = db.session.get(Token, db.session.scalar(moved_on.where(Connection.epoch > scene.epoch)) or "")
        sealed = row.access_sealed if row else None
        db.session.rollback()
        if sealed is None:
            return []
        access = parts().vault.open(scene.connection_id, tokens.ACCESS, sealed)
        stored = next(each for each in scene.vendor.issued if each.access == access)
        newest = max(each.sign_in for each in scene.vendor.issued)
        return [] if stored.sign_in == newest else [f"a token won by {stored.to} took the place of the Reconnect's"]

    def _meetings(self, scene: Scene) -> list[str]:
        """Meetings of ours at the vendor are those on our map, or those that the receipt says stay there."""
        known = set(db.session.scalars(select(Placement.provider_id)))
        stayed = sum(db.session.scalars(select(Disconnection.meetings).where(~Disconnection.remove_meetings)))
        db.session.rollback()
        strays = set(scene.vendor.ours) - known
        if len(strays) > stayed:
            return [f"{len(strays)} meetings of ours at the vendor that we do not know, and {stayed} told"]
        return []

"""A portal whose vendor is in memory, the parts that threads can play in it, and the judge of what they left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import delete, select, update

from portal import clock
from portal import parts as portal_parts
from portal.db import db
from portal.models import (
    Activity,
    Calendar,
    Connection,
    Copy,
    Counter,
    Disconnection,
    DisconnectionStep,
    Member,
    Placement,
    Receipt,
    Subscription,
    Token,
)
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.providers.base import AccessEnded, SignInRefused
from portal.vault import CannotOpen
from portal.workflows import connect, disconnect, push, receive, subscribe, sync, tokens
from portal.workflows.epoch import Fenced
from tests import always
from tests.race.turns import Schedule, Turns
from tests.race.vendor import Vendor

OUTLOOK = "outlook-calendar"
ALICE = "alice@northwind.example"
SEVERING = {"disconnect", "twin", "second"}
"""Threads that carry out a disconnection: they alone may refresh and store after the fence."""
EVERYTHING = (
    *(Receipt, DisconnectionStep, Disconnection, Activity, Placement, Copy, Calendar, Subscription, Token),
    *(Connection, Counter),
)


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
    fenced_with: str = ""  # the access token that was stored at the moment of the fence

    def watch(self) -> None:
        """Look at what may only shrink; called by the disconnecting thread, between its steps."""
        with self.turns.silently():
            self.seen += self.witness.look_back()
            self.seen += self._tokens_stored_after_the_fence()

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
    turns: Turns | None = None
    inside: bool = False  # whether there are points inside transactions too: then threads wait for locks
    blocked_after: float = 0.2

    def pause(self, label: str) -> None:
        """A point of the play at hand; nothing between two plays."""
        if self.turns is not None:
            self.turns.pause(label)

    def clear(self) -> None:
        """An empty house."""
        db.session.rollback()
        for table in EVERYTHING:
            db.session.execute(delete(table))
        db.session.commit()
        for owner in parts().vault.owners():
            parts().vault.destroy(owner)

    @contextmanager
    def scene(self, schedule: Schedule, *, revokes: bool = False, synced: bool = True) -> Iterator[Scene]:
        """A fresh connection of Alice's, and a play about it."""
        self.clear()
        vendor = Vendor(revokes=revokes)
        portal_parts.install(self.app, replace(parts(), providers={OUTLOOK: vendor}))
        member_id = db.session.scalars(select(Member.id).where(Member.email == ALICE)).one()
        db.session.rollback()
        answer = self.attempt(member_id)
        connection = connect.finish(member_id, OUTLOOK, "browser", answer)
        connection_id, epoch = connection.id, connection.epoch
        db.session.rollback()
        if synced:
            sync.sync(connection_id)
        turns = Turns(schedule, blocked_after=self.blocked_after if self.inside else 30.0)
        scene = Scene(self, turns, vendor, connection_id, epoch, member_id)
        try:
            yield scene
        finally:
            self.turns = None
            vendor.pause = lambda _label: None

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
        try:
            scene.turns.run()
        finally:
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
        return wrong

    def _meetings(self, scene: Scene) -> list[str]:
        """Meetings of ours at the vendor are those on our map, or those that the receipt says stay there."""
        known = set(db.session.scalars(select(Placement.provider_id)))
        stayed = sum(db.session.scalars(select(Disconnection.meetings).where(~Disconnection.remove_meetings)))
        db.session.rollback()
        strays = set(scene.vendor.ours) - known
        if len(strays) > stayed:
            return [f"{len(strays)} meetings of ours at the vendor that we do not know, and {stayed} told"]
        return []


# --- the parts ------------------------------------------------------------------------------------------------------


def begin(scene: Scene) -> str | None:
    """Somebody confirms: the fence."""
    row = disconnect.begin(scene.connection_id, scene.member_id)
    disconnection_id = row.id if row else None
    db.session.rollback()
    return disconnection_id


def disconnecting(scene: Scene) -> None:
    """Confirm, and carry out every step; looks around between them."""
    disconnection_id = begin(scene)
    if disconnection_id is not None:
        scene.watch()
        _carry_out(scene, disconnection_id)


def _carry_out(scene: Scene, disconnection_id: str) -> None:
    for step in disconnect.STEPS:
        scene.theatre.pause(step.name)
        for _ in range(100):
            if disconnect.carry_out(step.name, disconnection_id) is None:
                break
            scene.theatre.pause("wait")
        scene.watch()


def syncing(scene: Scene) -> None:
    """A sync of everything, page by page."""
    sync.want(scene.connection_id)
    sync.read_changes(scene.connection_id)


def refreshing(scene: Scene) -> str | None:
    """Somebody needs an access token."""
    try:
        return tokens.access_token(scene.connection_id, scene.epoch, (CONNECTED,))
    except (Fenced, AccessEnded):
        return None


def subscribing(scene: Scene) -> None:
    """There is no subscription yet: make one."""
    with suppress(Fenced, AccessEnded):
        subscribe.ensure(scene.connection_id, scene.epoch, scene.vendor)


def renewing(scene: Scene) -> None:
    """The subscription ages: renew it."""
    subscribing(scene)


def notified(scene: Scene) -> None:
    """The vendor delivers a notification, with the secret that it was given."""
    told = [[name, secret, ""] for name, secret in scene.vendor.secrets.items()]
    receive.notifications(OUTLOOK, json.dumps(told).encode())


def unsubscribed(scene: Scene) -> None:
    """The vendor says that it removed the subscription."""
    told = [[name, secret, "subscriptionRemoved"] for name, secret in scene.vendor.secrets.items()]
    receive.notifications(OUTLOOK, json.dumps(told).encode())


def pushing(scene: Scene) -> None:
    """Meetings of ours are written into the calendar that the member chose."""
    try:
        calendar_id = db.session.scalars(select(Calendar.id).where(Calendar.is_default)).first()
        db.session.rollback()
        if calendar_id is not None:
            push.choose(scene.connection_id, scene.epoch, calendar_id)
            push.write_meetings(scene.connection_id, scene.epoch, scene.vendor)
    except (Fenced, AccessEnded):
        pass


def coming_back(scene: Scene, attempt: str = "back") -> None:
    """A sign-in comes back from the vendor; who is refused may try again later."""
    with suppress(SignInRefused, connect.StillDisconnecting, connect.WrongAccount):
        connect.finish(scene.member_id, OUTLOOK, "browser", scene.attempts[attempt])


def coming_back_too(scene: Scene) -> None:
    """The other tab comes back."""
    coming_back(scene, "other")


def leaving(scene: Scene) -> None:
    """Somebody presses Reconnect and leaves for the vendor's page."""
    connection = db.session.get(Connection, scene.connection_id)
    if connection is None or not connection.is_living():
        db.session.rollback()
        return
    with suppress(connect.StillDisconnecting):
        scene.theatre.attempt(scene.member_id, replaces=connection)


def twin(scene: Scene) -> None:
    """Another worker takes the same run over, wrongly: the first one is not dead."""
    disconnection = disconnect.find(scene.connection_id)
    disconnection_id = disconnection.id if disconnection else None
    db.session.rollback()
    if disconnection_id is not None:
        _carry_out(scene, disconnection_id)


def hurrying(scene: Scene) -> None:
    """The person presses Erase now."""
    disconnection = disconnect.find(scene.connection_id)
    disconnection_id = disconnection.id if disconnection else None
    db.session.rollback()
    if disconnection_id is not None:
        disconnect.erase_now(disconnection_id)


# --- what must be so before the play begins --------------------------------------------------------------------------


def as_it_is(scene: Scene) -> None:
    """Connected and synced."""


def token_is_old(scene: Scene) -> None:
    """The access token has expired: whoever needs one refreshes first."""
    db.session.execute(update(Token).values(expires_at=clock.now(), issued_at=clock.now() - timedelta(hours=1)))
    db.session.commit()


def nothing_subscribed(scene: Scene) -> None:
    """No subscription, here or there."""
    db.session.execute(delete(Subscription))
    db.session.commit()
    scene.vendor.subscribed.clear()


def subscription_ages(scene: Scene) -> None:
    """The subscription is due to be renewed."""
    soon = clock.now() + timedelta(hours=3)
    db.session.execute(update(Subscription).values(expires_at=soon, renew_at=clock.now() - timedelta(minutes=1)))
    db.session.commit()
    scene.vendor.subscribed = {name: replace(each, expires_at=soon) for name, each in scene.vendor.subscribed.items()}


def left_to_reconnect(scene: Scene) -> None:
    """The person has pressed Reconnect and is at the vendor's page."""
    connection = db.session.get_one(Connection, scene.connection_id)
    scene.attempts["back"] = scene.theatre.attempt(scene.member_id, replaces=connection)
    db.session.rollback()


def left_to_connect(scene: Scene) -> None:
    """The person has pressed Connect once more and is at the vendor's page; it will be the same account."""
    scene.attempts["back"] = scene.theatre.attempt(scene.member_id)
    db.session.rollback()


def already_fenced(scene: Scene) -> None:
    """The disconnection has begun."""
    begin(scene)


def fenced_with_an_old_token(scene: Scene) -> None:
    """The disconnection has begun, and has to refresh first."""
    token_is_old(scene)
    begin(scene)


def left_with_an_old_token(scene: Scene) -> None:
    """Away to reconnect, and the access token has expired meanwhile."""
    left_to_reconnect(scene)
    token_is_old(scene)


def left_twice(scene: Scene) -> None:
    """Two tabs are at the vendor's page, and neither knows of the other. Nothing was connected before."""
    scene.theatre.clear()
    scene.vendor.subscribed.clear()
    scene.vendor.issued.clear()
    scene.attempts["back"] = scene.theatre.attempt(scene.member_id)
    scene.attempts["other"] = scene.theatre.attempt(scene.member_id)

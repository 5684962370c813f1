"""The parts that threads can play: a disconnection, and whatever may be in flight when somebody confirms it."""

from __future__ import annotations

import json
from contextlib import suppress

from sqlalchemy import select

from portal.db import db
from portal.models import Calendar, Connection, Member
from portal.models.connection import CONNECTED
from portal.providers.base import AccessEnded, SignInRefused
from portal.workflows import again, carry_out, connect, disconnect, push, receive, subscribe, sync, tokens
from portal.workflows.epoch import Fenced
from tests.race.theatre import OUTLOOK, Scene

SAM = "sam@coordinoter.example"


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
    """As the durable run does it, with a point before each step."""
    at = 0
    for _ in range(100):  # with a planted bug it may never end
        if at == len(disconnect.STEPS):
            return
        scene.theatre.pause(disconnect.STEPS[at].name)
        scene.watch()  # once more: whoever had the turn meanwhile may have written
        wait = carry_out.attempt(disconnect.STEPS[at].name, disconnection_id)
        if wait is None:
            at += 1
        elif wait < 0:
            at = -int(wait) - 1
        else:
            scene.theatre.pause("wait")
        scene.watch()
    raise AssertionError("the disconnection never ended")


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


def asking_again(scene: Scene) -> None:
    """Support has what was left to the person tried once more."""
    supporter = db.session.scalars(select(Member).where(Member.email == SAM)).one()
    disconnection = disconnect.find(scene.connection_id)
    try:
        if disconnection is not None:
            again.ask(disconnection, "withdraw_access", supporter, "please")
            db.session.commit()
    except again.TooLate:
        pass
    finally:
        db.session.rollback()

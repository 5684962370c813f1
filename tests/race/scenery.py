"""What must be so before a play begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import delete, update

from portal import clock
from portal.db import db
from portal.models import Connection, Subscription, Token
from tests.race import roles, snapshot
from tests.race.theatre import Scene


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
    roles.begin(scene)


def fenced_with_an_old_token(scene: Scene) -> None:
    """The disconnection has begun, and has to refresh first."""
    token_is_old(scene)
    roles.begin(scene)


def left_with_an_old_token(scene: Scene) -> None:
    """Away to reconnect, and the access token has expired meanwhile."""
    left_to_reconnect(scene)
    token_is_old(scene)


def left_twice(scene: Scene) -> None:
    """Two tabs are at the vendor's page, and neither knows of the other. Nothing was connected before."""
    snapshot.clear()
    scene.vendor.subscribed.clear()
    scene.vendor.issued.clear()
    scene.attempts["back"] = scene.theatre.attempt(scene.member_id)
    scene.attempts["other"] = scene.theatre.attempt(scene.member_id)

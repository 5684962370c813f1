"""By when a receipt says that access lapses: never earlier than it does, whatever was lost on the way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal import clock
from portal.db import db
from portal.models import Receipt, Token
from portal.providers.base import AccessReason
from portal.workflows import disconnect, receipt, tokens
from portal.workflows.carry_out import attempt
from portal.workflows.promise import at, by
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"


def begin(world: World) -> str:
    connection = world.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    name = begun.id
    db.session.rollback()
    return name


def told(world: World) -> dict[str, Any]:
    """The receipt's body, steps by name."""
    world.work()
    paper = db.session.get_one(Receipt, world.disconnection().id)
    assert receipt.verify(paper)
    body: dict[str, Any] = json.loads(paper.body)
    db.session.rollback()
    return body | {step["name"]: step for step in body["steps"]}


def last_there(world: World) -> datetime:
    return datetime.fromisoformat(world.microsoft.holds(ADELE)["access_tokens"]["last_expires"])


def test_it_works(both: World) -> None:
    both.connected()
    begin(both)
    body = told(both)
    assert datetime.fromisoformat(body["lapses_at"]) >= last_there(both)
    assert body["lapses_at"].endswith(":00+00:00"), "in full minutes"
    assert by(last_there(both)) in body["try_the_old_token"]["detail"]


@pytest.mark.parametrize(("second", "expected"), [(0, 4), (1, 5), (59, 5)])
def test_an_end_is_never_told_too_early(second: int, expected: int) -> None:
    moment = datetime(2026, 11, 28, 19, 4, second, tzinfo=UTC)
    assert by(moment) == at(datetime(2026, 11, 28, 19, expected, tzinfo=UTC))
    assert by(moment.replace(second=0, microsecond=1)) == at(datetime(2026, 11, 28, 19, 5, tzinfo=UTC))


def test_what_the_last_try_was_issued_in_a_lost_answer_is_counted(both: World) -> None:
    both.connected()
    db.session.get_one(Token, both.connection().id).lapses_at = clock.now() + timedelta(minutes=1)
    db.session.commit()
    both.microsoft.breaks("half", "token", times=None)
    disconnect.erase_now(begin(both))
    body = told(both)
    assert body["try_the_old_token"]["outcome"] == "Failed"
    assert datetime.fromisoformat(body["lapses_at"]) >= last_there(both)


def test_what_a_refresh_was_issued_that_died_before_the_click_is_counted(both: World) -> None:
    """Its lease is all that it left behind."""
    both.connected()
    connection = both.connection()
    connection.refresh_lease, connection.refresh_lease_until = "dead", clock.now() + tokens.LEASE
    db.session.commit()
    before = db.session.get_one(Token, connection.id)
    before.lapses_at = clock.now() + timedelta(minutes=1)
    db.session.commit()
    row_id = begin(both)
    lapses_at = both.disconnection().lapses_at
    assert both.disconnection().id == row_id
    assert lapses_at is not None
    assert lapses_at >= clock.now() + tokens.LONGEST_LIFE - timedelta(minutes=1)


@pytest.mark.parametrize("after", ["a refresh", "a reconnect"])
def test_what_a_refresh_was_issued_that_died_is_counted_after_the_next_one_too(both: World, after: str) -> None:
    """The next refresh, or a Reconnect, takes the dead one's lease away, and what it may have won is still alive."""
    alice = both.connected()
    died_at = clock.now() - timedelta(seconds=1)
    connection = both.connection()
    connection.refresh_lease, connection.refresh_lease_until = "dead", died_at
    connection_id, epoch = connection.id, connection.epoch
    db.session.get_one(Token, connection_id).expires_at = clock.now()
    db.session.commit()
    if after == "a refresh":
        tokens.access_token(connection_id, epoch, ("connected",))
    else:
        tokens.needs_attention(connection_id, epoch, AccessReason.SIGN_IN_NEEDED)
        alice.connect(ADELE, button="Reconnect")
    assert both.connection().refresh_lease is None
    begin(both)
    lapses_at = both.disconnection().lapses_at
    assert lapses_at is not None
    assert lapses_at >= died_at + tokens.LONGEST_LIFE


def test_one_that_comes_after_the_words_is_told_beside_them(both: World) -> None:
    both.connected()
    row_id = begin(both)
    names = [step.name for step in disconnect.STEPS]
    for name in names[: names.index("erase_tokens")]:
        assert attempt(name, row_id) is None
    late = clock.now() + timedelta(hours=3)
    tokens.tell(both.disconnection().connection_id, late)
    db.session.commit()
    body = told(both)
    assert datetime.fromisoformat(body["lapses_at"]) >= late
    assert body["try_the_old_token"]["outcome"] == "Expires"
    assert body["try_the_old_token"]["detail"].endswith(f"One that may have been issued later lapses by {by(late)}.")

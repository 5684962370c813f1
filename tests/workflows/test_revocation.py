"""A provider that offers revocation (RFC 7009): tokens are revoked there, and whatever the last try wins as well."""

from __future__ import annotations

from typing import Any

import pytest

from portal.db import db
from portal.models import DisconnectionStep, Token
from portal.models.disconnection_step import DONE, EXPIRES
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"


@pytest.fixture
def offered(both: World) -> World:
    """Alice is connected at a provider that offers revocation."""
    both.microsoft.desk("POST", "revocation", offered=True)
    both.connected()
    return both


def disconnect(world: World) -> dict[str, DisconnectionStep]:
    """From the card to the receipt; the steps by name."""
    alice = world.sign_in("alice@northwind.example")
    alice.get("/integrations/outlook-calendar")
    alice.press("Disconnect from Microsoft")
    alice.press("Disconnect")
    world.work()
    db.session.rollback()
    steps = {step.name: step for step in db.session.query(DisconnectionStep)}
    db.session.expunge_all()
    db.session.rollback()
    return steps


def living(world: World) -> tuple[Any, Any]:
    held = world.microsoft.holds(ADELE)
    return held["refresh_tokens"]["living"], held["access_tokens"]["living"]


def test_it_works(offered: World) -> None:
    assert living(offered)[0] > 0
    steps = disconnect(offered)
    withdrawn, tried = steps["withdraw_access"], steps["try_the_old_token"]
    assert (withdrawn.outcome, withdrawn.count) == (DONE, 2)
    assert withdrawn.detail == "2 tokens revoked at the provider."
    assert tried.outcome == EXPIRES
    assert tried.detail.startswith("Microsoft did not accept our old token any more.")
    assert living(offered) == (0, 0)
    assert db.session.query(Token).count() == 0


def test_what_the_last_try_wins_is_revoked_too(offered: World) -> None:
    """The provider says that it revoked, and did not: a bare 200 is all that its standard asks of it."""
    offered.microsoft.breaks("empty", "revoke", times=2)
    tried = disconnect(offered)["try_the_old_token"]
    assert tried.detail.startswith("The provider still honoured our old token; what it gave us was revoked at once.")
    revoked = [call for call in offered.microsoft.calls() if call["path"].endswith("/revoke")]
    assert len(revoked) == 4
    assert living(offered)[1] == 0

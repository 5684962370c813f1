"""A worker freezes in the middle of a run; another one takes it over and ends it; the person connects again; it thaws.

The frozen one goes on where it stood. It must change nothing of what has ended, and nothing of what is new.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError

from portal.db import db
from portal.models import Business, Connection, Disconnection, Receipt, Token
from portal.parts import parts
from portal.providers.base import AccessEnded, AccessReason, Grant
from portal.providers.outlook import grants, graph
from portal.workflows import carry_out, disconnect, erase, sync, tokens
from tests.world import CLIENT_ID, World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"
Patch = pytest.MonkeyPatch


class Meanwhile:
    """What happens while a worker is frozen, once, in a context of its own."""

    def __init__(self, world: World, patch: Patch) -> None:
        self.world, self.patch = world, patch
        self.receipt = ""
        self.happened = False

    def freezes(
        self,
        at: Any,
        name: str,
        *,
        before: bool = False,
        first: Callable[[], None] | None = None,
        refusal: Exception | None = None,
    ) -> None:
        """The first call of `name` lasts until all of it has happened; a stall behind it has its answer in hand."""
        honest = getattr(at, name)

        def frozen(*args: Any, **more: Any) -> Any:
            found = None if before else honest(*args, **more)
            if not self.happened:
                self.happened = True
                if first is not None:
                    first()
                with self.world.app.app_context():
                    self._happens()
                if refusal is not None:
                    raise refusal
            return honest(*args, **more) if before else found

        self.patch.setattr(at, name, frozen)

    def _happens(self) -> None:
        if db.session.scalar(select(Disconnection.id)) is None:
            self.begin()
        self.world.work()
        row = self.world.disconnection()
        assert row.is_finished()
        self.receipt = db.session.get_one(Receipt, row.id).body
        self.world.connected()
        db.session.rollback()

    def begin(self) -> str:
        """The click."""
        connection = self.world.connection()
        row = disconnect.begin(connection.id, connection.member_id)
        assert row is not None
        row_id = row.id
        db.session.rollback()
        return row_id


@pytest.fixture
def meanwhile(both: World, monkeypatch: Patch) -> Meanwhile:
    """Connected, and about to freeze."""
    both.connected()
    monkeypatch.setattr(tokens, "LEASE", tokens.LEASE * 0)  # the frozen one's; nobody needs to wait a minute for it
    return Meanwhile(both, monkeypatch)


def all_is_well(meanwhile: Meanwhile, old: str) -> None:
    """Nothing came back of the old connection, its account is as it was, and the new one works."""
    assert meanwhile.happened, "nobody froze"
    db.session.rollback()
    row = meanwhile.world.disconnection()
    assert db.session.get_one(Receipt, row.id).body == meanwhile.receipt
    assert all(step.outcome and step.trouble is None for step in row.steps)
    assert row.subscription_ends_at is None, "every subscription was deleted at Microsoft"
    assert erase.remains(old) == []
    assert not parts().vault.has_key(old), "a key came back"
    new = meanwhile.world.connection()
    new_id = new.id
    assert (new.state, new_id != old) == ("connected", True)
    sealed = db.session.get_one(Token, new_id).refresh_sealed
    assert parts().vault.open(new_id, tokens.REFRESH, sealed or "")
    db.session.rollback()
    assert sync.want(new_id)
    meanwhile.world.work()
    assert meanwhile.world.connection().state == "connected"
    assert len(meanwhile.world.microsoft.holds(ADELE)["subscriptions"]) == 1


@pytest.mark.parametrize(
    ("where", "name", "before"),
    [
        ("provider", "subscriptions", True),
        ("provider", "subscriptions", False),
        ("provider", "unsubscribe", True),
        ("provider", "refresh", True),
        ("vault", "destroy", True),
        ("vault", "destroy", False),
        ("vault", "has_key", False),
        ("vault", "scour", True),
    ],
)
def test_a_frozen_run_thaws_after_the_end(meanwhile: Meanwhile, where: str, name: str, before: bool) -> None:
    old, row_id = meanwhile.world.connection().id, meanwhile.begin()
    at = parts().vault if where == "vault" else parts().providers["outlook-calendar"]
    meanwhile.freezes(at, name, before=before)
    carry_out.run(row_id)
    all_is_well(meanwhile, old)


@pytest.mark.parametrize(("at", "name"), [(graph, "own_principal"), (grants, "_delete")], ids=["looks", "deletes"])
def test_a_frozen_run_removes_no_permission_that_was_given_again(meanwhile: Meanwhile, at: Any, name: str) -> None:
    """Frozen before it looks, or with the old permission in sight: the new one is another, under the same id."""
    db.session.execute(update(Business).values(removes_grants=True))
    db.session.commit()
    right = {"app_roles": ["DelegatedPermissionGrant.ReadWrite.All"]}
    meanwhile.world.microsoft.desk("PATCH", f"tenants/contoso.example/applications/{CLIENT_ID}", **right)
    old, row_id = meanwhile.world.connection().id, meanwhile.begin()
    meanwhile.freezes(at, name, before=True)
    carry_out.run(row_id)
    all_is_well(meanwhile, old)
    assert len(meanwhile.world.microsoft.holds(ADELE)["grants"]) == 1


def test_microsoft_s_refusal_that_arrives_late_changes_no_account(meanwhile: Meanwhile) -> None:
    """What one worker is told when it thaws must not be written to what another one has ended."""
    old, row_id = meanwhile.world.connection().id, meanwhile.begin()
    refusal = AccessEnded(AccessReason.CONSENT_WITHDRAWN)
    meanwhile.freezes(parts().providers["outlook-calendar"], "subscriptions", refusal=refusal)
    carry_out.run(row_id)
    all_is_well(meanwhile, old)


def test_a_token_that_is_won_after_the_receipt_is_told_beside_it(both: World) -> None:
    """Its lapse cannot stand on what was signed before; the page says it all the same."""
    alice = both.connected()
    connection = both.connection()
    connection_id = connection.id
    disconnect.begin(connection_id, connection.member_id)
    both.work()
    signed = both.disconnection().lapses_at
    assert signed is not None
    row_id = both.disconnection().id
    for late in (signed, signed - timedelta(minutes=1)):
        tokens.tell(connection_id, late)
        db.session.commit()
        assert both.disconnection().late_lapses_at is None, "the receipt says it already"
    tokens.tell(connection_id, signed + timedelta(minutes=5))
    db.session.commit()
    row = both.disconnection()
    assert (row.lapses_at, row.late_lapses_at) == (signed, signed + timedelta(minutes=5))
    page = alice.get(f"/disconnections/{row_id}").get_text(" ", strip=True)
    assert "may have brought a further token. We kept none; if there was one, it lapses by" in page


def cut_off() -> None:
    """What PostgreSQL does to a transaction in which nothing happens (idle_in_transaction_session_timeout)."""
    pid = db.session.scalar(text("SELECT pg_backend_pid()"))
    url = parts().settings.database_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


@pytest.mark.parametrize("name", ["seal_also", "get"])
def test_a_sync_frozen_within_its_transaction_makes_no_key_when_it_thaws(
    meanwhile: Meanwhile, postgres: str, name: str
) -> None:
    """On SQLite nobody can go on meanwhile: it holds the only lock. PostgreSQL cuts it off, and the others go on."""
    if db.engine.dialect.name != "postgresql":
        return
    old = meanwhile.world.connection().id
    assert sync.want(old)
    vault = parts().vault
    honest = vault.seal_also

    def about_to(*args: Any) -> str:
        if not meanwhile.happened:
            meanwhile.freezes(vault, name, before=True, first=cut_off)
            return vault.seal_also(*args) if name == "seal_also" else honest(*args)
        return honest(*args)

    meanwhile.patch.setattr(vault, "seal_also", about_to)
    with suppress(DBAPIError):  # its own transaction is gone
        sync.read_changes(old)
    all_is_well(meanwhile, old)
    assert db.session.scalar(select(Connection.id).where(Connection.id == old)) is None


def test_a_reconnect_that_comes_back_after_the_end_is_told_beside_the_receipt(both: World, monkeypatch: Patch) -> None:
    """The account that the tokens are for is known nowhere any more; the attempt knew which connection it was for."""
    alice = both.connected()
    connection = both.connection()
    connection_id, member_id = connection.id, connection.member_id
    tokens.needs_attention(connection_id, connection.epoch, AccessReason.CONSENT_WITHDRAWN)
    provider = parts().providers["outlook-calendar"]
    honest, won = provider.finish_sign_in, list[datetime]()

    def slow(*args: Any, **more: Any) -> Grant:
        grant = honest(*args, **more)
        won.append(grant.tokens.expires_at + timedelta(hours=2))
        with both.app.app_context():
            disconnect.begin(connection_id, member_id)
            both.work()
            assert both.disconnection().is_finished()
            db.session.rollback()
        return replace(grant, tokens=replace(grant.tokens, expires_at=won[0]))

    monkeypatch.setattr(provider, "finish_sign_in", slow)
    alice.get("/integrations/outlook-calendar")
    alice.press("Reconnect", follow=False)
    alice.come_back(ADELE)
    assert both.disconnection().late_lapses_at == won[0]

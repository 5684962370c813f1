"""The key database goes away in the middle of something: nothing is lost, nothing half-made stays, all told is true."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text, update

from portal import clock
from portal import db as db_module
from portal import parts as parts_module
from portal.db import db
from portal.models import Activity, Connection, Token
from portal.parts import parts
from portal.providers.base import AccessReason, Tokens
from portal.vault import Vault
from portal.workflows import carry_out, disconnect, erase, sign_in_attempts, sync, tokens, watch
from tests.outage import WORDS, away, impatient
from tests.workflows.test_keys_away import seen, steps
from tests.world import CARD, World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"


def test_it_works(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes away while Microsoft answers a refresh: what was won is dropped, what is stored stays good and alive."""
    both.connected()
    connection_id = both.connection().id
    revoked = going_away_with_the_next_refresh(monkeypatch, outage := ExitStack())
    both.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    assert sync.want(connection_id)
    both.work()
    assert revoked == [], "revoking one token of the family would end the stored one too"
    row = both.connection()
    assert (row.state, row.sync_note, row.refresh_lease) == ("connected", WORDS, None)
    won_until = db.session.get_one(Token, connection_id).lapses_at
    assert won_until >= clock.now() + timedelta(days=1), "what was dropped is alive, and has to be told"
    outage.close()
    assert sync.want(connection_id)
    both.work()
    assert both.connection().sync_note is None


def going_away_with_the_next_refresh(monkeypatch: pytest.MonkeyPatch, outage: ExitStack) -> list[str]:
    """Of a provider that can revoke; returns what it is asked to revoke. The token that is won lives long."""
    provider, revoked = parts().providers["outlook-calendar"], list[str]()
    ask = provider.refresh

    def refresh(token: str) -> Tokens:
        won = ask(token)
        if revoked or going:
            return won
        going.append(True)
        outage.enter_context(away())
        return replace(won, expires_at=clock.now() + timedelta(days=2))

    going: list[bool] = []
    monkeypatch.setattr(provider, "refresh", refresh)
    monkeypatch.setattr(provider, "can_revoke", lambda: True)
    monkeypatch.setattr(provider, "revoke", lambda token, hint: revoked.append(hint))
    return revoked


# --- what sweeps up every night, and every ten minutes ----------------------------------------------------------------


def test_the_watch_does_what_it_can_and_says_what_it_could_not(both: World) -> None:
    both.connected()
    connection = both.connection()
    disconnect.begin(connection.id, connection.member_id)
    both.disconnection().deadline_at = clock.now() - timedelta(hours=2)
    db.session.commit()
    with away():
        assert watch.watch() == {"rows": 0, "runs": 1, "keys": 0, "rewritten": 0}
    told = db.session.scalars(select(Activity.detail).where(Activity.event == "watch:unread")).all()
    assert told == ["the key database does not answer"]


def test_the_watch_goes_on_when_it_goes_away_between_two_keys(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    vault, outage = parts().vault, ExitStack()
    for owner in ("a" * 32, "b" * 32):
        vault.seal(owner, "p", "x")
    age_all_keys()
    destroy = vault.destroy

    def then_away(owner: str) -> bool:
        gone = destroy(owner)
        outage.enter_context(away())
        return gone

    with monkeypatch.context() as once:
        once.setattr(vault, "destroy", then_away)
        assert watch.watch()["keys"] == 1, "what was done counts, although not all was"
    told = db.session.scalars(select(Activity.event).where(Activity.event.startswith("watch:"))).all()
    assert sorted(told) == ["watch:orphan", "watch:unread"]
    db.session.rollback()
    outage.close()
    assert len(vault.owners()) == 1
    assert watch.watch()["keys"] == 1
    assert vault.owners() == set()


def test_half_made_sign_ins_are_swept_up_and_their_keys_later(both: World) -> None:
    alice = both.sign_in("alice@northwind.example")
    alice.get(CARD)
    alice.press("Connect to Microsoft", follow=False)
    db.session.execute(update(Connection).values(created_at=clock.now() - timedelta(hours=1)))
    db.session.commit()
    with away():
        sign_in_attempts.forget_all_abandoned()
    assert_no_sign_in_is_left()


def test_nothing_is_left_of_who_came_back_from_microsoft_meanwhile(both: World) -> None:
    alice = both.sign_in("alice@northwind.example")
    alice.get(CARD)
    alice.press("Connect to Microsoft", follow=False)
    with away():
        alice.come_back(ADELE)
    assert_no_sign_in_is_left()


def test_it_goes_away_while_a_sign_in_is_finished(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Microsoft has given the tokens already: they are dropped, and no connection without readable ones is left."""
    alice, outage = both.sign_in("alice@northwind.example"), ExitStack()
    alice.get(CARD)
    alice.press("Connect to Microsoft", follow=False)
    provider = parts().providers["outlook-calendar"]
    finish = provider.finish_sign_in

    def then_away(*args: Any, **more: Any) -> Any:
        grant = finish(*args, **more)
        outage.enter_context(away())
        return grant

    monkeypatch.setattr(provider, "finish_sign_in", then_away)
    alice.come_back(ADELE)
    assert "Coordinoter cannot reach the database of its keys" in alice.soup.get_text(" ", strip=True)
    assert db.session.scalar(select(func.count()).select_from(Token)) == 0
    outage.close()
    assert_no_sign_in_is_left()


def assert_no_sign_in_is_left() -> None:
    """Neither row nor, once the watch was there, key."""
    assert db.session.scalar(select(func.count()).select_from(Connection)) == 0
    db.session.rollback()
    age_all_keys()
    watch.watch()
    assert parts().vault.owners() == set()


def age_all_keys() -> None:
    """The watch spares young ones."""
    with parts().vault.engine.begin() as connection:
        connection.execute(text("UPDATE data_keys SET created_at = '2020-01-01 00:00:00+00:00'"))


# --- what a disconnection says ----------------------------------------------------------------------------------------


def test_a_key_that_cannot_be_reached_is_not_told_as_lost(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a Reconnect on its way goes with the connection that it was to mend."""
    alice = both.connected()
    impatient(both, monkeypatch)
    connection = both.connection()
    connection_id = connection.id
    tokens.needs_attention(connection_id, connection.epoch, AccessReason.SIGN_IN_NEEDED)
    alice.get(CARD)
    alice.press("Reconnect", follow=False)
    assert disconnect.begin(connection_id, connection.member_id) is not None
    with away():
        both.work()
    ended = steps(both)
    for name in ("end_notifications", "try_the_old_token"):
        assert ended[name]["detail"].startswith(WORDS), "and not: it is lost, or unreadable"
    assert ended["try_the_old_token"]["outcome"] == "Failed"
    assert "We could not ask whether our old token still works." in ended["try_the_old_token"]["detail"]
    assert erase.remains(connection_id) == [], "no half-made sign-in"
    assert ended["prove_nothing_remains"]["detail"].startswith(
        f"{WORDS} In the tables that could name this connection nothing"
    )
    assert both.disconnection().keys_rewritten_at is None


def key_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    """The key database is away only while the tokens are to be erased; the disconnection's id."""
    impatient(world, monkeypatch)
    connection = world.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    for step in disconnect.STEPS[:5]:
        assert carry_out.attempt(step.name, disconnection_id) is None
    with away():
        assert carry_out.attempt("erase_tokens", disconnection_id) is not None
        assert carry_out.attempt("erase_tokens", disconnection_id) is None
    return disconnection_id


def test_a_key_that_stayed_is_destroyed_by_the_proof(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = both.connected()
    connection_id = both.connection().id
    disconnection_id = key_stays(both, monkeypatch)
    both.work()
    assert not parts().vault.has_key(connection_id)
    proof = steps(both)["prove_nothing_remains"]
    assert proof["outcome"] == "Done"
    assert "the key was there after all, and was destroyed. The key database was rewritten." in proof["detail"]
    assert "still to be rewritten" not in seen(alice, f"/disconnections/{disconnection_id}")
    assert watch.watch()["rewritten"] == 0


def test_a_key_that_stays_all_the_same_is_not_told_as_rewritten(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewriting the key database leaves what is not deleted in it."""
    alice = both.connected()
    disconnection_id = key_stays(both, monkeypatch)
    with monkeypatch.context() as broken:
        broken.setattr(parts().vault, "destroy", lambda _owner: False)
        both.work()
    proof = steps(both)["prove_nothing_remains"]
    assert (proof["outcome"], proof["detail"].partition(".")[0]) == ("Failed", "Something was still there: the key")
    still = "The database of our keys is still to be rewritten. We try every night."
    assert still in seen(alice, f"/disconnections/{disconnection_id}")
    with monkeypatch.context() as earlier:  # the watch looked for keys just before this disconnection ended
        earlier.setattr(watch, "_orphaned_keys", list)
        assert watch.watch()["rewritten"] == 0
    assert still in seen(alice, f"/disconnections/{disconnection_id}")
    found = watch.watch()
    assert (found["keys"], found["rewritten"]) == (1, 1)
    assert "the key to your tokens is destroyed" in seen(alice, f"/disconnections/{disconnection_id}")


# --- it answers, but not to everybody ---------------------------------------------------------------------------------


def test_a_pool_that_is_used_up_is_an_outage(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody gets a connection in time: that too passes by itself."""
    alice = both.connected()
    connection_id = both.connection().id
    options = db_module.engine_options
    small = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.05}
    monkeypatch.setattr(db_module, "engine_options", lambda url: {**options(url), **small})
    settings, former = parts().settings, parts().vault
    vault = Vault(settings.keys_url, settings.token_keys)
    parts_module.install(both.app, replace(parts(), vault=vault))
    with vault.engine.connect():
        assert sync.want(connection_id)
        both.work()
        assert f"{WORDS} The last sync was not finished" in seen(alice, CARD)
        assert watch.watch()["keys"] == 0
    assert sync.want(connection_id)
    both.work()
    assert WORDS not in seen(alice, CARD)
    vault.engine.dispose()
    parts_module.install(both.app, replace(parts(), vault=former))


def test_who_reads_a_key_waits_for_nobody_who_writes_one(both: World) -> None:
    alice = both.connected()
    connection_id = both.connection().id
    with somebody_writes():
        assert sync.want(connection_id)
        both.work()
        assert WORDS not in seen(alice, CARD)
    assert both.connection().sync_note is None


@contextmanager
def somebody_writes() -> Iterator[None]:
    """Another process has written a key, and has not committed."""
    engine = parts().vault.engine
    touch = "UPDATE data_keys SET wrapped_by = wrapped_by"
    if engine.dialect.name == "sqlite":
        engine.dispose()
        db_module.event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout = 50"))
        other = sqlite3.connect(str(engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute(touch)
        yield
        other.execute("ROLLBACK")
        other.close()
        return
    with psycopg.connect(str(parts().settings.keys_url).replace("+psycopg", "")) as writer:
        writer.execute(touch)
        yield
        writer.rollback()

"""The key database is away: said in plain words, syncing waits, nothing crashes, a disconnection ends truthfully."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from portal.db import db
from portal.models import Activity, Connection, Receipt, Token
from portal.parts import parts
from portal.workflows import carry_out, counters, disconnect, erase, sync
from portal.workflows.watch import watch
from tests.outage import WORDS, away, impatient
from tests.world import CARD, Visitor, World

pytestmark = pytest.mark.postgresql_is_long


def steps(world: World) -> dict[str, dict[str, Any]]:
    body = json.loads(db.session.get_one(Receipt, world.disconnection().id).body)
    return {each["name"]: each for each in body["steps"]}


def seen(visitor: Visitor, address: str) -> str:
    return visitor.get(address).get_text(" ", strip=True)


def test_it_works(both: World) -> None:
    """Syncing waits and says why; the connection is not called broken, and goes on by itself."""
    alice = both.connected()
    connection_id = both.connection().id
    with away():
        assert sync.want(connection_id)
        both.work()
        assert f"{WORDS} The last sync was not finished; we try again every five minutes." in seen(alice, CARD)
        assert "Connected" in alice.soup.get_text(" ", strip=True)
        assert "Reconnect" not in alice.soup.get_text(" ", strip=True)
    assert sync.want(connection_id)
    both.work()
    assert WORDS not in seen(alice, CARD)
    assert both.connection().last_sync_at is not None


def test_the_self_check_names_it_and_blames_nobody_else(both: World) -> None:
    alice = both.connected()
    address = f"/self-check/{both.connection().id}"
    seen(alice, address)
    with away():
        alice.press("Check now")
    found = alice.soup.get_text(" ", strip=True)
    assert f"{WORDS} Syncing goes on by itself as soon as we can." in found
    assert found.count("Cannot be seen until the step above is mended.") == 6
    assert "/help/we-have-a-problem" in {str(link["href"]) for link in alice.soup.select("a[href]")}


def test_nobody_is_sent_to_microsoft_in_vain(both: World) -> None:
    alice = both.sign_in("alice@northwind.example")
    alice.get(CARD)
    with away():
        alice.press("Connect to Microsoft")
    assert "Coordinoter cannot reach the database of its keys" in alice.soup.get_text(" ", strip=True)
    assert db.session.scalar(select(func.count()).select_from(Connection)) == 0


def test_who_comes_back_from_microsoft_meanwhile_is_told_so(both: World) -> None:
    alice = both.sign_in("alice@northwind.example")
    alice.get(CARD)
    alice.press("Connect to Microsoft", follow=False)
    with away():
        alice.come_back("adele@contoso.example")
    assert "Coordinoter cannot reach the database of its keys" in alice.soup.get_text(" ", strip=True)
    assert db.session.scalar(select(func.count()).select_from(Token)) == 0


def test_microsoft_is_asked_to_deliver_again(world: World) -> None:
    world.connected()
    named = db.session.scalar(text("SELECT provider_id FROM subscriptions"))
    db.session.rollback()
    note = {"subscriptionId": named, "clientState": "x", "changeType": "updated", "resource": "x"}
    with away():
        answer = world.visitor().client.post("/webhooks/outlook-calendar/mark", json={"value": [note]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


def test_a_disconnection_waits_for_it(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = both.connected()
    connection = both.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    carry_out.attempt("stop_syncing", disconnection_id)
    with away():
        assert carry_out.attempt("end_notifications", disconnection_id) is not None
        assert f"{WORDS} Syncing has stopped. We keep trying until" in seen(
            alice, f"/disconnections/{disconnection_id}"
        )
    both.work()
    assert {each["outcome"] for each in steps(both).values()} <= {"Done", "LeftToYou", "Expires"}
    assert steps(both)["end_notifications"]["outcome"] == "Done"


def test_a_disconnection_that_meets_only_the_outage_ends_truthfully_and_is_made_good_later(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = both.connected()
    impatient(both, monkeypatch)
    connection = both.connection()
    connection_id = connection.id
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    with away():
        both.work()
        assert watch()["keys"] == 0, "the watch meets it too, and goes on"
    ended = steps(both)
    assert ended["end_notifications"]["outcome"] == "Expires"
    for name in ("erase_tokens", "prove_nothing_remains"):
        assert ended[name]["outcome"] == "Failed"
        assert ended[name]["detail"].startswith(WORDS)
        assert "every night, and this page says when it is done." in ended[name]["detail"]
    assert ended["erase_copies"]["outcome"] == "Done"
    assert erase.remains(connection_id) == []
    assert parts().vault.has_key(connection_id), "as the receipt says"
    page = seen(alice, f"/disconnections/{disconnection_id}")
    assert "This did not work" in page
    assert "The database of our keys is still to be rewritten. We try every night." in page
    found = watch()
    assert (found["keys"], found["rewritten"]) == (1, 1)
    assert not parts().vault.has_key(connection_id)
    assert "we made up for it: the key to your tokens is destroyed" in seen(
        alice, f"/disconnections/{disconnection_id}"
    )
    told = db.session.scalars(select(Activity.event).where(Activity.connection_id == connection_id)).all()
    assert {"watch:orphan", "watch:keys_rewritten"} <= set(told)
    assert counters.values()["keys_rewritten_late"] == 1
    assert watch()["rewritten"] == 0


# --- in use all the time: nothing is away, but the files cannot be rewritten -----------------------------------------


@contextmanager
def held() -> Iterator[None]:
    """Somebody reads all the time what is to be rewritten."""
    engine = parts().vault.engine
    if engine.dialect.name == "sqlite":
        engine.dispose()
        event.listen(engine, "connect", lambda raw, _record: raw.execute("PRAGMA busy_timeout = 50"))
    with engine.connect() as reader:
        if engine.dialect.name == "sqlite":
            raw: Any = reader.connection.driver_connection
            raw.execute("BEGIN")
            raw.execute("SELECT count(*) FROM data_keys").fetchall()
            yield
            raw.execute("ROLLBACK")
        else:
            reader = reader.execution_options(isolation_level="REPEATABLE READ")
            reader.execute(text("SELECT 1 FROM pg_class"))
            reader.execute(text("SET idle_in_transaction_session_timeout = 0"))
            yield
            reader.rollback()


def test_a_rewriting_that_is_kept_off_is_tried_again(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both.connected()
    impatient(both, monkeypatch)
    monkeypatch.setattr("portal.keyring.scour.TRIES", 1)
    connection = both.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    with held():
        for step in disconnect.STEPS[:-2]:
            assert carry_out.attempt(step.name, disconnection_id) is None
        assert carry_out.attempt("prove_nothing_remains", disconnection_id) is not None
        assert "in use all the time" in str(both.disconnection().steps[-2].trouble)
    both.work()
    assert steps(both)["prove_nothing_remains"]["outcome"] == "Done"
    assert steps(both)["prove_nothing_remains"]["detail"].endswith("The key database was rewritten.")
    assert both.disconnection().keys_rewritten_at is not None


def test_a_rewriting_that_never_succeeds_is_told_and_done_by_the_watch(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = both.connected()
    impatient(both, monkeypatch)
    monkeypatch.setattr("portal.keyring.scour.TRIES", 1)
    connection = both.connection()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    with held():
        both.work()
        assert watch()["rewritten"] == 0
    ended = steps(both)
    assert ended["erase_tokens"]["outcome"] == "Done"
    assert ended["prove_nothing_remains"]["outcome"] == "Failed"
    assert ended["prove_nothing_remains"]["attempts"] == 2
    assert "The database of our keys is in use all the time" in ended["prove_nothing_remains"]["detail"]
    assert watch() == {"rows": 0, "keys": 0, "runs": 0, "rewritten": 1}
    assert "we made up for it" in seen(alice, f"/disconnections/{disconnection_id}")

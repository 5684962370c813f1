"""What the receipt says of our subscriptions: deleted by us, ended by themselves, or left for somebody else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest
from sqlalchemy import delete, select, update

from portal import clock
from portal.db import db
from portal.models import Connection, Disconnection, DisconnectionStep, Member, Subscription
from portal.parts import parts
from portal.providers import base
from portal.workflows import at_once, carry_out, disconnect, subscribe
from tests.world import World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"
Patch = pytest.MonkeyPatch


def begin(email: str = "alice@northwind.example") -> str:
    """Somebody leaves; the disconnection's id."""
    db.session.rollback()
    whose = select(Connection).join(Member, Member.id == Connection.member_id).where(Member.email == email)
    connection = db.session.scalars(whose).one()
    row = disconnect.begin(connection.id, connection.member_id)
    assert row is not None
    disconnection_id = row.id
    db.session.rollback()
    return disconnection_id


def tried(disconnection_id: str) -> DisconnectionStep:
    """The step after one more try."""
    carry_out.attempt("end_notifications", disconnection_id)
    this = DisconnectionStep.disconnection_id == disconnection_id, DisconnectionStep.name == "end_notifications"
    return db.session.scalars(select(DisconnectionStep).where(*this)).one()


def long_over() -> None:
    """Nobody renewed it, say because syncing stood still for days."""
    past = clock.now() - timedelta(hours=3)
    db.session.execute(update(Subscription).values(expires_at=past, renew_at=past - timedelta(days=1)))
    db.session.commit()


def forgotten_by_microsoft(world: World) -> None:
    """The sandbox drops its subscriptions to the mailbox when the person changes their password; tokens survive."""
    world.microsoft.desk("POST", f"accounts/{ADELE}/password", by="person")
    assert world.microsoft.holds(ADELE)["subscriptions"] == []


def test_it_works(both: World) -> None:
    both.connected()
    step = tried(begin())
    assert (step.outcome, step.count, step.detail) == ("Done", 1, "1 subscription deleted at Microsoft.")
    assert both.microsoft.holds(ADELE)["subscriptions"] == []


def test_one_that_had_ended_by_itself_is_not_told_as_deleted(both: World) -> None:
    both.connected()
    forgotten_by_microsoft(both)
    long_over()
    step = tried(begin())
    assert (step.outcome, step.count) == ("Done", 0)
    assert step.detail == "Our subscription at Microsoft had ended by itself."
    assert len(step.request_ids) == 1, "Microsoft's word for it"


@pytest.mark.parametrize("listed", [True, False])
def test_one_that_lived_longer_than_we_knew_is_told_as_deleted(
    both: World, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    """The answer to a renewal was lost. Whether Microsoft's list names it or not, its deletion is proof enough."""
    both.connected()
    long_over()
    if not listed:
        monkeypatch.setattr(parts().providers["outlook-calendar"], "subscriptions", lambda _access: [])
    step = tried(begin())
    assert (step.count, step.detail) == (1, "1 subscription deleted at Microsoft.")
    assert both.microsoft.holds(ADELE)["subscriptions"] == []


def two_more(monkeypatch: pytest.MonkeyPatch, refused: list[str]) -> None:
    """Microsoft lists a second one of ours besides, which it deletes; of a third it knows nothing, as it should."""
    provider = parts().providers["outlook-calendar"]
    real = provider.unsubscribe

    def unsubscribe(access: str, subscription_id: str) -> str:
        if subscription_id in refused:
            refused.remove(subscription_id)
            raise base.Busy(request_id="busy")
        return "request second" if subscription_id == "second" else real(access, subscription_id)

    second = base.Subscription("second", "", subscribe.address("m2"), clock.now() + timedelta(hours=5))
    monkeypatch.setattr(provider, "unsubscribe", unsubscribe)
    monkeypatch.setattr(provider, "subscriptions", lambda _access: [second])


def test_both_kinds_are_counted_apart(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both.connected()
    forgotten_by_microsoft(both)
    long_over()
    two_more(monkeypatch, [])
    step = tried(begin())
    assert (step.outcome, step.count) == ("Done", 1)
    assert step.detail == "1 subscription deleted at Microsoft. 1 had ended by itself."


@pytest.mark.parametrize("in_time", [True, False])
def test_they_are_still_counted_apart_after_another_try(
    both: World, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    """The first try found the one to be over, and the other was not deleted: in the second, or never."""
    both.connected()
    forgotten_by_microsoft(both)
    long_over()
    monkeypatch.setattr(at_once, "AT_ONCE", 1)  # in the order of their names, and "second" comes after every id
    two_more(monkeypatch, ["second"])
    disconnection_id = begin()
    assert tried(disconnection_id).outcome is None
    db.session.rollback()
    ended = db.session.scalars(select(Subscription.ended_how).where(Subscription.ended_how.is_not(None))).all()
    assert len(ended) == 1
    db.session.rollback()
    if not in_time:
        two_more(monkeypatch, ["second"])
        disconnect.erase_now(disconnection_id)
    step = tried(disconnection_id)
    if in_time:
        assert (step.outcome, step.count) == ("Done", 1)
        assert step.detail == "1 subscription deleted at Microsoft. 1 had ended by itself."
    else:
        assert (step.outcome, step.count) == ("Expires", 1)
        assert "Our subscription at Microsoft had ended by itself. We have no word that the other one" in step.detail


# --- what cannot be looked up -----------------------------------------------------------------------------------------


def not_listed(world: World, status: int = 503) -> None:
    """Microsoft deletes subscriptions, and does not say which there are."""
    path = "/v1.0/subscriptions"
    world.microsoft.desk("POST", "faults", kind="status", status=status, method="GET", path=path, times=None)


def test_what_we_know_of_is_deleted_although_we_cannot_ask_for_others(both: World) -> None:
    both.connected()
    disconnection_id = begin()
    not_listed(both)
    assert tried(disconnection_id).outcome is None
    assert both.microsoft.holds(ADELE)["subscriptions"] == []
    disconnect.erase_now(disconnection_id)
    step = tried(disconnection_id)
    assert (step.outcome, step.count) == ("Expires", 0)
    assert step.detail.startswith("Microsoft is not answering. 1 subscription deleted at Microsoft. We could not ask ")
    assert "ask whether this connection has another one there; if so, it ends by itself by " in step.detail
    assert len(step.request_ids) == 2, "of the deletion, and of the last question"
    row = db.session.get_one(Disconnection, disconnection_id)
    assert row.subscription_ends_at == row.started_at + subscribe.LIFE


def test_it_is_told_as_deleted_when_others_can_be_asked_for_after_all(both: World) -> None:
    both.connected()
    disconnection_id = begin()
    not_listed(both)
    assert tried(disconnection_id).outcome is None
    both.microsoft.mend()
    step = tried(disconnection_id)
    assert (step.outcome, step.count, step.detail) == ("Done", 1, "1 subscription deleted at Microsoft.")
    assert len(step.request_ids) == 1
    assert db.session.get_one(Disconnection, disconnection_id).subscription_ends_at is None


def test_it_is_told_as_deleted_when_nothing_more_can_be_asked(both: World) -> None:
    both.connected()
    disconnection_id = begin()
    not_listed(both, 401)
    step = tried(disconnection_id)
    assert (step.outcome, step.count) == ("Expires", 0)
    told = "1 subscription deleted at Microsoft. Microsoft no longer lets us in, so we could not ask whether"
    assert step.detail.startswith(told)
    assert both.microsoft.holds(ADELE)["subscriptions"] == []


@pytest.mark.parametrize("status", [401, 403])
def test_where_nothing_can_be_asked_what_we_were_never_told_of_is_not_called_done(both: World, status: int) -> None:
    """We know of none, and cannot look: there may be one all the same, until it lapses."""
    both.connected()
    db.session.execute(delete(Subscription))
    db.session.commit()
    disconnection_id = begin()
    not_listed(both, status)
    step = tried(disconnection_id)
    assert (step.outcome, step.count) == ("Expires", 0)
    assert "We know of no subscription of ours there; one that we were never told of ends by " in step.detail
    assert db.session.get_one(Disconnection, disconnection_id).subscription_ends_at is not None


def test_one_that_is_listed_although_it_was_said_to_be_gone_is_deleted(both: World) -> None:
    both.connected()
    disconnection_id = begin()
    both.microsoft.desk(
        "POST", "faults", kind="status", status=404, method="DELETE", path="/v1.0/subscriptions/*", times=1
    )
    step = tried(disconnection_id)
    assert (step.outcome, step.count, step.detail) == ("Done", 1, "1 subscription deleted at Microsoft.")
    assert both.microsoft.holds(ADELE)["subscriptions"] == []


def test_one_that_was_not_there_any_more_is_not_told_as_deleted_by_us(both: World) -> None:
    """Long before its end: Microsoft drops them with a password, or a permission."""
    both.connected()
    forgotten_by_microsoft(both)
    step = tried(begin())
    assert (step.outcome, step.count) == ("Done", 0)
    assert step.detail == "Our subscription at Microsoft was not there any more."


def test_a_later_try_that_finds_nothing_there_claims_nothing(both: World, monkeypatch: Patch) -> None:
    """The answer to the first one was lost; Microsoft had deleted it."""
    both.connected()
    provider = parts().providers["outlook-calendar"]
    honest, lost = provider.unsubscribe, list[str]()

    def unlucky(access: str, subscription_id: str) -> str:
        done = honest(access, subscription_id)
        if not lost:
            lost.append(done)
            raise base.Unreachable
        return done

    monkeypatch.setattr(provider, "unsubscribe", unlucky)
    disconnection_id = begin()
    assert tried(disconnection_id).outcome is None
    step = tried(disconnection_id)
    assert (step.outcome, step.count, step.detail) == (
        "Done",
        0,
        "Our subscription at Microsoft was not there any more.",
    )


def test_a_kill_before_the_outcome_is_written_makes_nothing_of_it_nobody_s(both: World, monkeypatch: Patch) -> None:
    """All was deleted and noted; the process died before the step had its words."""
    both.connected()
    disconnection_id = begin()
    with monkeypatch.context() as until_the_kill, pytest.raises(KeyboardInterrupt):
        until_the_kill.setattr(carry_out, "_note_end", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        carry_out.attempt("end_notifications", disconnection_id)
    db.session.rollback()
    assert both.microsoft.holds(ADELE)["subscriptions"] == []
    step = tried(disconnection_id)
    assert (step.outcome, step.count, step.detail) == ("Done", 1, "1 subscription deleted at Microsoft.")
    assert any(step.request_ids)


# --- what is refused --------------------------------------------------------------------------------------------------


def test_one_that_is_refused_lapses_and_the_others_are_deleted(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both.connected()
    two_more(monkeypatch, [])
    both.microsoft.breaks("status", "subscriptions", method="DELETE", status=403, times=None)
    disconnection_id = begin()
    step = tried(disconnection_id)
    assert (step.outcome, step.count) == ("Expires", 1)
    told = "1 subscription deleted at Microsoft. Microsoft refused, so we could not delete the other one. It ends by"
    assert step.detail.startswith(told)
    ends = db.session.get_one(Disconnection, disconnection_id).subscription_ends_at
    assert ends == db.session.scalars(select(Subscription.expires_at).where(Subscription.ended_how.is_(None))).one()


# --- two people, one mailbox ------------------------------------------------------------------------------------------


def test_who_leaves_a_shared_mailbox_first_is_told_what_was_left(both: World) -> None:
    """Microsoft keeps one subscription per application and mailbox: it is Bob's, and Alice's receipt says nobody's."""
    both.connected("bob@northwind.example")
    both.connected("alice@northwind.example")
    assert len(both.microsoft.holds(ADELE)["subscriptions"]) == 1
    step = tried(begin())
    assert (step.outcome, step.count) == ("Done", 0)
    assert step.detail == (
        "Another connection here uses the same mailbox; its subscription at Microsoft was left for it."
    )
    assert len(both.microsoft.holds(ADELE)["subscriptions"]) == 1
    last = tried(begin("bob@northwind.example"))
    assert (last.outcome, last.count, last.detail) == ("Done", 1, "1 subscription deleted at Microsoft.")
    assert both.microsoft.holds(ADELE)["subscriptions"] == []


def test_what_was_left_is_told_beside_what_was_deleted(both: World, monkeypatch: pytest.MonkeyPatch) -> None:
    both.connected("bob@northwind.example")
    both.connected("alice@northwind.example")
    provider = parts().providers["outlook-calendar"]
    real, delete = provider.subscriptions, provider.unsubscribe
    stray = base.Subscription("stray", "", subscribe.address("nobody-s"), clock.now() + timedelta(hours=5))
    monkeypatch.setattr(provider, "subscriptions", lambda access: [*real(access), stray])
    monkeypatch.setattr(provider, "unsubscribe", lambda access, name: "r" if name == "stray" else delete(access, name))
    step = tried(begin())
    assert (step.outcome, step.count) == ("Done", 1)
    assert step.detail.startswith("1 subscription deleted at Microsoft. Another connection here uses the same mailbox;")
    assert len(both.microsoft.holds(ADELE)["subscriptions"]) == 1


def test_where_nothing_is_there_nothing_is_told(both: World) -> None:
    both.connected()
    forgotten_by_microsoft(both)
    db.session.execute(Subscription.__table__.delete())
    db.session.commit()
    step = tried(begin())
    assert (step.outcome, step.count, step.detail) == ("Done", 0, "Microsoft held no subscription of ours.")


# --- who waits for somebody else's refresh ----------------------------------------------------------------------------


def test_a_disconnection_that_waits_for_a_dead_refresh_hears_erase_now(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process died while it refreshed: its lease has most of a minute to go, and the token is old."""
    both.connected()
    db.session.execute(
        update(Connection).values(refresh_lease="dead", refresh_lease_until=clock.now() + timedelta(seconds=50))
    )
    db.session.execute(db.metadata.tables["tokens"].update().values(expires_at=clock.now()))
    db.session.commit()
    disconnection_id, naps = begin(), list[float]()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        disconnect.erase_now(disconnection_id)

    monkeypatch.setattr("portal.workflows.tokens.time.sleep", nap)
    step = tried(disconnection_id)
    assert len(naps) == 1
    assert step.outcome == "Expires"
    assert step.detail.startswith("There was not time enough for all of it. We have no word that our subscription")


def test_one_that_was_said_to_be_gone_and_is_listed_later_is_not_told_as_deleted(
    both: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft's servers disagree for a while: it is not found, then it is listed, and then nobody answers."""
    both.connected()
    provider = parts().providers["outlook-calendar"]
    real, trouble = provider.subscriptions, list[base.ProviderError]([base.Gone(request_id="gone")])
    disconnection_id = begin()

    def unsubscribe(_access: str, _subscription_id: str) -> str:
        raise trouble[0] if trouble else base.Unreachable

    def subscriptions(access: str) -> Iterable[base.Subscription]:
        if trouble:
            raise base.Unreachable
        return real(access)

    monkeypatch.setattr(provider, "unsubscribe", unsubscribe)
    monkeypatch.setattr(provider, "subscriptions", subscriptions)
    assert tried(disconnection_id).outcome is None
    trouble.clear()
    assert tried(disconnection_id).outcome is None
    disconnect.erase_now(disconnection_id)
    step = tried(disconnection_id)
    assert (step.outcome, step.count) == ("Expires", 1)
    assert "We have no word that our subscription was deleted" in step.detail
    assert len(both.microsoft.holds(ADELE)["subscriptions"]) == 1

"""Once more: a step that was given up is tried again while tokens exist, and never after; on both databases."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from portal import clock, live
from portal.db import db
from portal.live import LOOK_AGAIN, ears
from portal.live.hub import Hub
from portal.models import Activity, Business, Conversation, Disconnection, DisconnectionStep, Entry, Member, Receipt
from portal.models.entry import EVENT
from portal.parts import parts
from portal.providers.base import Tokens
from portal.providers.outlook.outlook import OutlookProvider
from portal.workflows import again, desk, disconnect, promise, receipt
from portal.workflows.carry_out import attempt
from portal.workflows.conversation import Message, Person, Refused, start
from tests.world import CLIENT_ID, World

pytestmark = pytest.mark.postgresql_is_long

ADELE = "adele@contoso.example"
REMOTE = ("end_notifications", "remove_our_meetings", "withdraw_access", "try_the_old_token")


@pytest.fixture
def hanging(both: World) -> World:
    """Microsoft refused to end its notifications, and does not answer for tokens: the run waits for that."""
    both.connected()
    both.microsoft.breaks("status", "subscriptions", status=403, times=None)
    both.microsoft.breaks("status", "token", status=503, times=None)
    connection = both.connection()
    assert disconnect.begin(connection.id, connection.member_id) is not None
    row = both.disconnection()
    row.deadline_at = clock.now().replace(year=clock.now().year + 1)
    member_id = row.member_id
    db.session.commit()
    assert [try_(both, name) for name in REMOTE[:3]] == [None, None, None]
    assert (try_(both, "try_the_old_token") or 0) > 0
    start(Person(member_id=member_id), Message("It hangs."), reply_to="a@b.c", page="/", article="", situation={})
    return both


def try_(world: World, name: str) -> float | None:
    row_id = world.disconnection().id
    db.session.rollback()
    return attempt(name, row_id)


def sam() -> Member:
    return db.session.scalars(select(Member).where(Member.role == "support")).one()


def retry(world: World, name: str, reason: str = "They let us in again") -> None:
    row_id = world.disconnection().id
    conversation_id = db.session.scalars(select(Conversation.id)).one()
    desk.retry_step(conversation_id, row_id, name, sam(), reason)


def step(name: str) -> DisconnectionStep:
    db.session.rollback()
    return db.session.scalars(select(DisconnectionStep).where(DisconnectionStep.name == name)).one()


def woken() -> list[tuple[str, str]]:
    """The runs that were told to wait no longer, and what for."""
    db.session.rollback()
    table = "notifications" if db.engine.dialect.name == "sqlite" else "dbos.notifications"
    found = db.session.execute(text(f"SELECT destination_uuid, topic FROM {table}")).all()
    db.session.rollback()
    return [(row[0], row[1]) for row in found]


def in_the_way(world: World, ask: Callable[[], None]) -> None:
    """`ask` waits, in a thread of its own, for the transaction that is open here, and goes on when it is committed."""

    def with_the_portal() -> None:
        with world.app.app_context():
            ask()

    thread = threading.Thread(target=with_the_portal)
    thread.start()
    thread.join(0.7)
    assert thread.is_alive(), "it must wait for what is about to be said"
    db.session.commit()
    thread.join(20)


def account(world: World) -> dict[str, Any]:
    """The steps of the signed receipt, by name."""
    world.work()
    found = db.session.get_one(Receipt, world.disconnection().id)
    assert receipt.verify(found)
    return {each["name"]: each for each in json.loads(found.body)["steps"]}


def test_it_works(hanging: World) -> None:
    before = step("end_notifications")
    assert before.outcome == "Expires"
    assert before.detail.startswith("Microsoft refused, so we could not delete our subscription.")
    retry(hanging, "end_notifications")
    assert (step("end_notifications").outcome, step("end_notifications").detail) == (None, "")
    hanging.microsoft.mend()
    told = account(hanging)
    assert (told["end_notifications"]["outcome"], told["end_notifications"]["attempts"]) == ("Done", 2)
    assert told["end_notifications"]["asked_again_at"] is not None
    assert told["end_notifications"]["why_not_again"] is None
    assert hanging.microsoft.holds(ADELE)["subscriptions"] == []


def test_the_receipt_says_why_a_step_that_was_given_up_cannot_be_tried_again(hanging: World) -> None:
    hanging.microsoft.mend()
    told = account(hanging)
    for name in ("end_notifications", "withdraw_access"):
        assert told[name]["why_not_again"].startswith("Our tokens were erased on "), name
        assert told[name]["why_not_again"].endswith("so nothing of ours opens the account any more.")
    assert told["erase_tokens"]["why_not_again"] is None
    row = hanging.disconnection()
    assert again.choices(row) == []
    assert again.why_not(row).startswith("“End notifications”, “Withdraw our access”, “Try the old token” cannot")


def test_who_asked_and_why_is_kept(hanging: World) -> None:
    retry(hanging, "end_notifications")
    asked = step("end_notifications")
    assert asked.again_by is not None
    assert (asked.again_by.name, asked.again_reason) == ("Sam Sorel", "They let us in again")
    assert db.session.scalars(select(Activity.detail).where(Activity.event == "support:retry")).all() == [
        "They let us in again"
    ]
    said = db.session.scalars(select(Entry.text).where(Entry.kind == EVENT)).all()
    assert said == ["Sam Sorel tries the step “End notifications” again. Reason: They let us in again"]


@pytest.fixture
def hub(hanging: World) -> Iterator[Hub]:
    """Where the pages of another process hear what is told."""
    hub = Hub(limit=5, listen=ears.for_database(hanging.app.extensions["settings"].database_url))
    yield hub
    hub.end()


def test_the_run_is_woken_and_the_person_s_pages_look_again(hanging: World, hub: Hub) -> None:
    row = hanging.disconnection()
    row_id, wanted, told = row.id, f"live-disconnection-{row.id}", set[str]()
    stream, until = hub.open([live.member(row.member_id)], hub.position()), time.monotonic() + 20
    db.session.rollback()
    assert stream is not None
    while LOOK_AGAIN not in told and time.monotonic() < until:
        told |= {event.what for _, event in stream.wait(0.1)}
    with pytest.raises(Refused):
        retry(hanging, "erase_tokens")
    assert woken() == []
    retry(hanging, "end_notifications")
    assert woken() == [(row_id, disconnect.ERASE_NOW)], "it may be waiting for an hour from now"
    while wanted not in told and time.monotonic() < until:
        told |= {event.what for _, event in stream.wait(0.1)}
    assert wanted in told


def test_without_a_reason_nothing_is_tried(hanging: World) -> None:
    with pytest.raises(Refused, match="give a reason"):
        retry(hanging, "end_notifications", reason="")
    assert (step("end_notifications").outcome, step("end_notifications").again_at) == ("Expires", None)
    assert woken() == []


def test_beside_another_s_conversation_nothing_of_theirs_is_tried(hanging: World) -> None:
    row_id, bob = hanging.disconnection().id, select(Member.id).where(Member.email == "bob@northwind.example")
    for person in (Person(member_id=db.session.scalars(bob).one()), Person(visitor="somebody")):
        at = start(person, Message("Hello."), reply_to="a@b.c", page="/", article="", situation={})
        with pytest.raises(Refused, match="not one of theirs"):
            desk.retry_step(at, row_id, "end_notifications", sam(), "By mistake")
    assert step("end_notifications").outcome == "Expires"


def test_the_run_goes_back_before_it_goes_on(hanging: World) -> None:
    retry(hanging, "end_notifications")
    assert try_(hanging, "try_the_old_token") == -2, "the position of the step that is asked for"
    assert step("try_the_old_token").attempts == 1, "and nothing was tried"
    assert try_(hanging, "erase_tokens") == -2
    assert step("erase_tokens").started_at is None


def test_a_request_under_way_is_waited_for_by_the_erasure(hanging: World) -> None:
    """Support's transaction is open while the run comes to erase: it waits for the lock, then goes back."""
    db.session.execute(
        update(DisconnectionStep).where(DisconnectionStep.name == "try_the_old_token").values(outcome="Failed")
    )
    db.session.commit()
    row = hanging.disconnection()
    row_id = row.id
    again.ask(row, "end_notifications", sam(), "In time")
    db.session.flush()
    found: list[float | None] = []
    in_the_way(hanging, lambda: found.append(attempt("erase_tokens", row_id)))
    assert found == [-2]


@pytest.mark.parametrize(("by", "why"), [("the run", "are being erased"), ("the person", "erase at once")])
def test_what_was_said_a_moment_earlier_counts_though_a_page_read_before(hanging: World, by: str, why: str) -> None:
    """The other way round: support's request waits for whoever holds the steps, and looks at them anew."""
    row_id, conversation_id = hanging.disconnection().id, db.session.scalars(select(Conversation.id)).one()
    db.session.rollback()
    db.session.scalars(select(DisconnectionStep).with_for_update()).all()
    if by == "the run":
        begun = update(DisconnectionStep).where(DisconnectionStep.name == "erase_tokens")
        db.session.execute(begun.values(started_at=clock.now()))
    else:
        db.session.execute(update(Disconnection).values(erase_now_at=clock.now()))
    said: list[str] = []

    def ask() -> None:
        steps = db.session.get_one(Disconnection, row_id).steps  # held, as a page holds what it shows
        assert len(steps) == len(disconnect.STEPS)
        try:
            desk.retry_step(conversation_id, row_id, "end_notifications", sam(), "Too late")
        except Refused as refused:
            said.append(str(refused))

    in_the_way(hanging, ask)
    assert why in " ".join(said)
    assert step("end_notifications").outcome == "Expires"
    assert woken() == []


def test_once_the_erasure_has_begun_it_is_too_late(hanging: World) -> None:
    db.session.execute(
        update(DisconnectionStep).where(DisconnectionStep.name == "erase_tokens").values(started_at=clock.now())
    )
    db.session.commit()
    with pytest.raises(Refused, match="are being erased"):
        retry(hanging, "end_notifications")
    assert step("end_notifications").outcome == "Expires"


@pytest.mark.parametrize(("column", "why"), [("erase_now_at", "erase at once"), ("deadline_at", "time for trying")])
def test_neither_the_person_s_wish_nor_the_deadline_is_overruled(hanging: World, column: str, why: str) -> None:
    db.session.execute(update(Disconnection).values({column: clock.now()}))
    db.session.commit()
    with pytest.raises(Refused, match=why):
        retry(hanging, "end_notifications")


@pytest.mark.parametrize("name", ["stop_syncing", "remove_our_meetings", "erase_tokens", "nothing"])
def test_what_is_done_or_has_not_begun_is_not_tried_again(hanging: World, name: str) -> None:
    with pytest.raises(Refused, match="is done, or its turn"):
        retry(hanging, name)


def test_the_deadline_holds_for_what_was_asked_for_again(hanging: World) -> None:
    """Still refused, or not answered: the step gets an outcome and the tokens go, in time."""
    retry(hanging, "end_notifications")
    hanging.microsoft.mend()
    hanging.microsoft.breaks("status", "all", status=503, times=None)
    db.session.execute(update(Disconnection).values(deadline_at=clock.now()))
    db.session.commit()
    told = account(hanging)
    hanging.microsoft.mend()
    assert told["end_notifications"]["outcome"] == "Expires"
    assert told["end_notifications"]["detail"].startswith("Microsoft is not answering.")
    assert told["erase_tokens"]["outcome"] == "Done"


def test_what_was_withdrawn_anew_is_tried_anew(hanging: World) -> None:
    """The receipt must not tell what the old token was good for before."""
    hanging.microsoft.desk("DELETE", "faults")
    assert try_(hanging, "try_the_old_token") is None
    assert "still honours" in step("try_the_old_token").detail
    db.session.execute(update(Business).values(removes_grants=True))
    db.session.commit()
    hanging.microsoft.desk(
        "PATCH",
        f"tenants/contoso.example/applications/{CLIENT_ID}",
        app_roles=["DelegatedPermissionGrant.ReadWrite.All"],
    )
    retry(hanging, "withdraw_access")
    told = account(hanging)
    assert told["withdraw_access"]["outcome"] == "Done"
    assert "did not accept our old token" in told["try_the_old_token"]["detail"]


def test_what_is_asked_for_again_while_the_old_token_is_tried_is_found_out_after_it(
    hanging: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft has answered the probe already, and its answer says what held before the withdrawal."""
    hanging.microsoft.mend()
    db.session.execute(update(Business).values(removes_grants=True))
    db.session.commit()
    right = ["DelegatedPermissionGrant.ReadWrite.All"]
    hanging.microsoft.desk("PATCH", f"tenants/contoso.example/applications/{CLIENT_ID}", app_roles=right)
    refresh = OutlookProvider.refresh

    def asked_meanwhile(provider: OutlookProvider, secret: str) -> Tokens:
        won = refresh(provider, secret)
        monkeypatch.undo()
        retry(hanging, "withdraw_access")
        return won

    monkeypatch.setattr(OutlookProvider, "refresh", asked_meanwhile)
    assert try_(hanging, "try_the_old_token") is None
    assert step("try_the_old_token").outcome is None
    told = account(hanging)
    assert told["withdraw_access"]["outcome"] == "Done"
    assert "did not accept our old token" in told["try_the_old_token"]["detail"]


def one_of_two_is_removed(world: World) -> None:
    """The business asks for it, one permission goes and the other is refused."""
    world.microsoft.mend()
    db.session.execute(update(Business).values(removes_grants=True))
    db.session.commit()
    right = ["DelegatedPermissionGrant.ReadWrite.All"]
    world.microsoft.desk("PATCH", f"tenants/contoso.example/applications/{CLIENT_ID}", app_roles=right)
    world.microsoft.desk("POST", f"accounts/{ADELE}/consent", scopes=["Calendars.ReadWrite"], resource="exchange")
    world.microsoft.breaks("status", "grants", status=403, code="x", method="DELETE", skip=1)
    world.microsoft.breaks("status", "token", status=503, grant_type="refresh_token", times=None)
    retry(world, "withdraw_access")
    assert try_(world, "withdraw_access") is None
    assert (step("withdraw_access").outcome, step("withdraw_access").count) == ("LeftToYou", 1)


def test_what_was_removed_before_counts_on(hanging: World) -> None:
    """Asked for again the other goes too, and the receipt tells of both."""
    one_of_two_is_removed(hanging)
    retry(hanging, "withdraw_access")
    hanging.microsoft.mend()
    told = account(hanging)["withdraw_access"]
    assert (told["outcome"], told["count"], len(told["request_ids"])) == ("Done", 2, 3)
    assert told["detail"].startswith("2 permissions removed at Microsoft.")


@pytest.mark.parametrize("turned_off", [True, False])
def test_what_was_removed_before_is_told_whatever_ends_it(hanging: World, turned_off: bool) -> None:
    """Before the second try the administrator changes their mind, or a colleague connects the same account."""
    one_of_two_is_removed(hanging)
    if turned_off:
        db.session.execute(update(Business).values(removes_grants=False))
        db.session.commit()
    else:
        hanging.sign_in("bob@northwind.example").connect(ADELE)
    retry(hanging, "withdraw_access")
    assert try_(hanging, "withdraw_access") is None
    told = step("withdraw_access")
    why = "Then your business stopped asking for that." if turned_off else "Then another connection here began to use"
    assert told.detail.startswith(f"1 permission removed at Microsoft. {why}")
    assert (told.outcome, told.count) == ("LeftToYou", 1)


def test_what_a_step_tried_again_was_issued_is_told(hanging: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The receipt must not name a last moment that was the last one before."""
    provider = parts().providers["outlook-calendar"]
    honest = provider.refresh

    def longer(token: str) -> Tokens:
        won = honest(token)
        return replace(won, expires_at=won.expires_at + timedelta(hours=2))

    hanging.microsoft.mend()
    assert try_(hanging, "try_the_old_token") is None
    hanging.microsoft.desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    monkeypatch.setattr(provider, "refresh", longer)
    retry(hanging, "end_notifications")
    told = account(hanging)
    lapses_at = hanging.disconnection().lapses_at
    assert lapses_at is not None
    assert lapses_at > clock.now() + timedelta(hours=2)
    assert promise.by(lapses_at) in told["try_the_old_token"]["detail"]


def test_a_waiting_step_is_only_hurried(hanging: World) -> None:
    retry(hanging, "try_the_old_token")
    waiting = step("try_the_old_token")
    assert (waiting.outcome, waiting.trouble) == (None, "Microsoft is not answering.")
    hanging.microsoft.mend()
    assert account(hanging)["try_the_old_token"]["attempts"] == 2

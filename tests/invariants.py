"""What must be true of every disconnection, whatever happened meanwhile: one sentence, one function.

They look in through an application context of the portal, and ask the sandbox's desk what Microsoft holds. `ids` are
connection ids. Ask when everything is at rest: whatever was going to end has ended, and nobody is connected any more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from portal.db import db
from portal.durable.start import ALIVE, client
from portal.models import Activity, Disconnection, Receipt
from portal.parts import parts
from portal.workflows import carry_out, disconnect, erase, receipt
from portal.workflows.disconnect import STEPS
from tests.world import Microsoft

DONE, LEFT_TO_YOU, EXPIRES, FAILED = "Done", "LeftToYou", "Expires", "Failed"
LOCAL = ("stop_syncing", "erase_tokens", "erase_copies", "prove_nothing_remains", "tell_you")


def hold(ids: Iterable[str], microsoft: Microsoft, accounts: dict[str, list[str]]) -> None:
    """All of them. `accounts` names, per mailbox at Microsoft, the connections that there were to it."""
    ids = list(ids)
    every_disconnection_ended(ids)
    every_step_ended_once_and_in_order(ids)
    one_click_and_one_end_each(ids)
    one_receipt_each(ids)
    nothing_is_left(ids)
    every_key_is_gone(ids)
    the_engine_is_at_rest(ids)
    the_deadline_did_not_move(ids)
    repeats_change_nothing(ids)
    for account, connections in accounts.items():
        held = microsoft.holds(account)
        microsoft_tells_us_nothing_any_more(held, connections)
        receipts_are_true(held, connections)


def every_disconnection_ended(ids: Iterable[str]) -> None:
    """Every click led to an end."""
    for connection_id in ids:
        assert _of(connection_id).finished_at is not None, f"{connection_id} never ended: {_story(connection_id)}"


def every_step_ended_once_and_in_order(ids: Iterable[str]) -> None:
    """Nine steps, one outcome each, and no step before the one it stands behind."""
    for connection_id in ids:
        row = _of(connection_id)
        assert [step.name for step in row.steps] == [step.name for step in STEPS], connection_id
        ends = [step.ended_at for step in row.steps]
        assert None not in ends, _story(connection_id)
        assert ends == sorted(ends), _story(connection_id)  # type: ignore[type-var]
        assert all(step.outcome in (DONE, LEFT_TO_YOU, EXPIRES, FAILED) for step in row.steps)
        assert all(step.attempts >= 1 for step in row.steps), _story(connection_id)


def one_click_and_one_end_each(ids: Iterable[str]) -> None:
    """The two effects that would matter if they happened twice, as the activity log tells them."""
    for connection_id in ids:
        for event in ("connection:disconnect", "connection:disconnect:done"):
            asked = select(func.count()).where(Activity.connection_id == connection_id, Activity.event == event)
            assert db.session.scalar(asked) == 1, f"{event} of {connection_id}"
    db.session.rollback()


def one_receipt_each(ids: Iterable[str]) -> None:
    """A receipt per disconnection, genuine, and about that disconnection."""
    for connection_id in ids:
        row = _of(connection_id)
        found = db.session.scalars(select(Receipt).where(Receipt.disconnection_id == row.id)).all()
        assert len(found) == 1, connection_id
        assert receipt.verify(found[0]), connection_id
        body = json.loads(found[0].body)
        assert body["id"] == row.id
        assert [each["outcome"] for each in body["steps"]] == [step.outcome for step in row.steps]
        assert [each["detail"] for each in body["steps"]] == [step.detail for step in row.steps]
    db.session.rollback()


def nothing_is_left(ids: Iterable[str]) -> None:
    """No token, copy, calendar, subscription or connection row, in any table."""
    for connection_id in ids:
        assert erase.remains(connection_id) == [], connection_id
    db.session.rollback()


def every_key_is_gone(ids: Iterable[str]) -> None:
    """What was sealed cannot be opened by anybody."""
    kept = parts().vault.owners() & set(ids)
    assert not kept, kept


def the_engine_is_at_rest(ids: Iterable[str]) -> None:
    """No run is left for what has ended."""
    rows = {_of(connection_id).id for connection_id in ids}
    runs = client().list_workflows(name="disconnect", status=ALIVE, load_input=False, load_output=False)
    left = {run.workflow_id: run.status for run in runs if run.workflow_id[:32] in rows}
    assert not left, left


def the_deadline_did_not_move(ids: Iterable[str]) -> None:
    """It counts from the click, whatever died meanwhile."""
    for connection_id in ids:
        row = _of(connection_id)
        assert row.deadline_at - row.started_at == timedelta(seconds=parts().settings.disconnect_deadline)


def repeats_change_nothing(ids: Iterable[str]) -> None:
    """Another click, another run of the whole: the same disconnection, the same receipt, byte for byte."""
    for connection_id in ids:
        row = _of(connection_id)
        disconnection_id, member_id = row.id, row.member_id
        before = _receipt(disconnection_id)
        again = disconnect.begin(connection_id, member_id)
        assert again is not None
        assert again.id == disconnection_id
        db.session.rollback()  # the run below has a session of its own
        carry_out.run(disconnection_id)
        assert _receipt(disconnection_id) == before, connection_id


def microsoft_tells_us_nothing_any_more(held: Any, connections: list[str]) -> None:
    """Microsoft holds no subscription of ours, except one that the receipt says lapses by itself, and when."""
    promised = [row.subscription_ends_at for row in map(_of, connections) if _outcome(row, "end_notifications") != DONE]
    if not promised:
        assert held["subscriptions"] == [], f"{connections}: {held['subscriptions']}"
        return
    known = [moment for moment in promised if moment is not None]
    for each in held["subscriptions"]:
        assert known, f"{each} lives on, and no receipt says so"
        assert _moment(each["expires"]) <= max(known) + timedelta(seconds=1), each


def receipts_are_true(held: Any, connections: list[str]) -> None:
    """What the receipts say of Microsoft is what Microsoft says itself."""
    rows = [_of(connection_id) for connection_id in connections]
    for row in rows:
        for name in LOCAL:
            assert _outcome(row, name) == DONE, f"{name} of {row.connection_id}: {_story(row.connection_id)}"
        assert _outcome(row, "withdraw_access") == LEFT_TO_YOU, "Microsoft offers no other way"
    assert held["grants"], "consent stays at Microsoft until the person removes it, and the receipts say so"
    living, last = held["access_tokens"]["living"], held["access_tokens"]["last_expires"]
    told = [row.lapses_at for row in rows if row.lapses_at is not None]
    if living:
        assert told, f"{living} access tokens are alive, and no receipt says so"
        assert max(told) >= _moment(last) - timedelta(seconds=1), f"an access token lives until {last}: {told}"
    if _outcome(rows[-1], "try_the_old_token") == EXPIRES:
        assert living, "the receipt says that access tokens are alive, and Microsoft knows of none"


# --- looking up -----------------------------------------------------------------------------------------------------


def _of(connection_id: str) -> Disconnection:
    db.session.rollback()
    return db.session.scalars(select(Disconnection).where(Disconnection.connection_id == connection_id)).one()


def _outcome(row: Disconnection, name: str) -> str | None:
    return next(step.outcome for step in row.steps if step.name == name)


def _receipt(disconnection_id: str) -> tuple[str, str, str]:
    db.session.rollback()
    found = db.session.get_one(Receipt, disconnection_id)
    told = found.body, found.signature, found.key_id
    db.session.rollback()
    return told


def _story(connection_id: str) -> str:
    """One line per step, for the message of a test that fails."""
    row = _of(connection_id)
    lines = [f"{step.name}: {step.outcome} x{step.attempts} {step.trouble or ''}" for step in row.steps]
    runs = client().list_workflows(workflow_id_prefix=row.id, load_input=False, load_output=False)
    return "\n".join([*lines, *(f"run {run.workflow_id}: {run.status} at {run.executor_id}" for run in runs)])


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

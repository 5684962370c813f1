"""What must be true at every moment, at rest or not: one function per sentence, each returning what breaks it.

`invariants.py` judges disconnections that have ended; this file is for looking between any two steps of anything. A
function reads the database of the current application context (and, where it is told, what the vendor holds) and
returns one line per violation; an empty list means that the sentence holds. `Witness` remembers what it saw before,
for sentences about time: nothing grows after a fence, a receipt never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, select

from portal.db import db
from portal.models import (
    Calendar,
    Connection,
    Copy,
    Disconnection,
    DisconnectionStep,
    Placement,
    Receipt,
    Subscription,
    Token,
)
from portal.models.connection import CONNECTED, CONNECTING, DISCONNECTING, NEEDS_ATTENTION
from portal.models.disconnection_step import FAILED
from portal.parts import parts
from portal.workflows import erase, receipt, traces

HELD = (Copy, Calendar, Subscription, Placement, Token)
"""Everything that a connection may hold."""

A_SECOND = timedelta(seconds=1)  # the desk tells moments without fractions


def tokens_belong_to_connections_that_live_or_are_being_severed() -> list[str]:
    states = dict(db.session.execute(select(Connection.id, Connection.state)).all())
    allowed = {CONNECTED, NEEDS_ATTENTION, DISCONNECTING}
    return [
        f"a token of {owner}, which is {states.get(owner, 'gone')}"
        for owner in db.session.scalars(select(Token.connection_id))
        if states.get(owner) not in allowed
    ]


def a_connection_has_one_token_row_at_most() -> list[str]:
    rows = db.session.execute(
        select(Token.connection_id, func.count()).group_by(Token.connection_id).having(func.count() > 1)
    )
    return [f"{number} token rows of {owner}" for owner, number in rows]


def no_row_names_a_connection_that_is_gone() -> list[str]:
    living, found = select(Connection.id), []
    for table in traces.tables():
        for named in filter(traces.is_owner, traces.columns(table)):
            orphans = db.session.scalars(select(named).where(named.is_not(None), named.not_in(living))).all()
            found += [f"{table.name} still names {owner}" for owner in orphans]
    gone = select(Disconnection.connection_id).where(Disconnection.connection_id.not_in(living))
    for owner in db.session.scalars(gone).all():
        found += [f"{name} still names {owner}" for name in traces.found(owner)]
    return found


def no_data_key_is_without_an_owner() -> list[str]:
    owners = parts().vault.owners()
    living = set(db.session.scalars(select(Connection.id)))
    return [f"a data key of {owner}, which is gone" for owner in owners - living]


def a_finished_disconnection_has_one_receipt_and_an_outcome_for_every_step() -> list[str]:
    found = []
    for row in db.session.scalars(select(Disconnection)):
        paper = db.session.get(Receipt, row.id)
        open_steps = db.session.scalars(
            select(DisconnectionStep.name).where(
                DisconnectionStep.disconnection_id == row.id, DisconnectionStep.outcome.is_(None)
            )
        ).all()
        if row.finished_at is None and paper is not None:
            found.append(f"a receipt of {row.id}, which has not ended")
        if row.finished_at is not None and paper is None:
            found.append(f"{row.id} has ended without a receipt")
        if row.finished_at is not None and open_steps:
            found.append(f"{row.id} has ended without {', '.join(open_steps)}")
        if paper is not None and not receipt.verify(paper):
            found.append(f"the receipt of {row.id} does not verify")
    return found


def a_finished_disconnection_left_nothing() -> list[str]:
    found = []
    for row in db.session.scalars(select(Disconnection).where(Disconnection.finished_at.is_not(None))):
        left = erase.remains(row.connection_id)
        if parts().vault.has_key(row.connection_id):
            left.append("the key")
        found += [f"{name} of {row.connection_id} after its receipt" for name in left]
    return found


def no_step_failed_that_needs_nobody_else() -> list[str]:
    local = ("stop_syncing", "erase_tokens", "erase_copies", "prove_nothing_remains", "tell_you")
    rows = db.session.execute(
        select(DisconnectionStep.name, DisconnectionStep.detail).where(
            DisconnectionStep.outcome == FAILED, DisconnectionStep.name.in_(local)
        )
    )
    return [f"{name} failed: {detail}" for name, detail in rows]


def nothing_is_there_twice() -> list[str]:
    found = []
    for columns in (
        (Copy.calendar_id, Copy.provider_id),
        (Calendar.connection_id, Calendar.provider_id),
        (Placement.connection_id, Placement.meeting_id),
        (Subscription.connection_id,),
        (Disconnection.connection_id,),
    ):
        rows = db.session.execute(select(*columns).group_by(*columns).having(func.count() > 1)).all()
        found += [f"twice in {columns[0].class_.__tablename__}: {tuple(row)}" for row in rows]
    account = (
        Connection.member_id,
        Connection.integration,
        Connection.account_tenant,
        Connection.account_subject,
    )
    alive = Connection.state.in_((CONNECTED, NEEDS_ATTENTION, DISCONNECTING))
    rows = db.session.execute(select(*account).where(alive).group_by(*account).having(func.count() > 1)).all()
    return found + [f"two connections of one member to one account: {tuple(row)}" for row in rows]


def a_severed_connection_is_on_its_way_out_and_nothing_else() -> list[str]:
    rows = db.session.execute(
        select(Connection.id, Connection.state, Connection.epoch, Disconnection.epoch)
        .join(Disconnection, Disconnection.connection_id == Connection.id)
        .where((Connection.state != DISCONNECTING) | (Connection.epoch < Disconnection.epoch))
    )
    return [f"{row[0]} is {row[1]} at epoch {row[2]} after a fence at {row[3]}" for row in rows]


def half_made_sign_ins_hold_nothing() -> list[str]:
    found = []
    for table in HELD:
        half_made = select(table.connection_id).join(Connection, Connection.id == table.connection_id)
        rows = db.session.scalars(half_made.where(Connection.state == CONNECTING)).all()
        found += [f"{table.__tablename__} of the half-made {owner}" for owner in rows]
    return found


HERE = (
    tokens_belong_to_connections_that_live_or_are_being_severed,
    a_connection_has_one_token_row_at_most,
    no_row_names_a_connection_that_is_gone,
    no_data_key_is_without_an_owner,
    a_finished_disconnection_has_one_receipt_and_an_outcome_for_every_step,
    a_finished_disconnection_left_nothing,
    no_step_failed_that_needs_nobody_else,
    nothing_is_there_twice,
    a_severed_connection_is_on_its_way_out_and_nothing_else,
    half_made_sign_ins_hold_nothing,
)
"""Sentences about the portal alone."""


def broken_here() -> list[str]:
    """Every violation of every sentence about the portal alone."""
    found = [f"{sentence.__name__}: {line}" for sentence in HERE for line in sentence()]
    db.session.rollback()
    return found


# --- the portal and the vendor together ------------------------------------------------------------------------------


def subscriptions_at_the_vendor_are_known_or_told(held: Iterable[tuple[str, datetime]]) -> list[str]:
    """`held`: id and end of each subscription of ours there."""
    known = set(db.session.scalars(select(Subscription.provider_id).where(Subscription.ended_how.is_(None))))
    unanswered = db.session.scalars(select(Subscription.expires_at).where(Subscription.provider_id.is_(None)))
    ends = [*(end for end in db.session.scalars(select(Disconnection.subscription_ends_at)) if end), *unanswered]
    db.session.rollback()
    told = max(ends, default=None)
    return [
        f"subscription {name} lives at the vendor until {end}, and nobody knows"
        for name, end in held
        if name not in known and (told is None or end > told + A_SECOND)
    ]


def living_access_tokens_are_known_or_told(ends: Iterable[datetime]) -> list[str]:
    """`ends`: the last moment of each access token that reached us and still lives at the vendor."""
    known = [
        *db.session.scalars(select(Token.lapses_at)),
        *(end for end in db.session.scalars(select(Disconnection.lapses_at)) if end is not None),
    ]
    db.session.rollback()
    latest = max(known, default=None)
    return [
        f"an access token lives at the vendor until {end}, and we say {latest}"
        for end in ends
        if latest is None or end > latest + A_SECOND
    ]


def held(connection_id: str) -> set[tuple[object, ...]]:
    """Every row, whole, that a connection holds at this moment: after a fence none may be new or changed.

    Left out is when its tokens lapse: a refresh that comes too late drops what it won, and tells until when it lives.
    """
    found: set[tuple[object, ...]] = set()
    for table in HELD:
        columns = [each for each in table.__table__.c if each.name != "lapses_at"]
        rows = db.session.execute(select(*columns).where(*_holds(table, connection_id)))
        found |= {(table.__tablename__, *row) for row in rows}
    db.session.rollback()
    return found


def _holds(table: type[Any], connection_id: str) -> tuple[ColumnElement[bool], ...]:
    """Of a table, what this connection holds. A subscription that its disconnection ended is a record of that alone."""
    own = table.connection_id == connection_id
    return (own, Subscription.ended_how.is_(None)) if table is Subscription else (own,)


# --- sentences about time --------------------------------------------------------------------------------------------


@dataclass
class Witness:
    """Looks again and again, and remembers: what grew after a fence, which receipt changed, whose epoch went back."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    receipts: dict[str, tuple[str, str]] = field(default_factory=dict)

    def look(self) -> list[str]:
        """Every violation since the last look, and of the sentences about the portal alone."""
        return [*self.look_back(), *broken_here()]

    def look_back(self) -> list[str]:
        """The sentences about time alone: they hold even while somebody is in the middle of a transaction."""
        return [
            *(f"nothing_is_written_after_the_fence: {line}" for line in self.nothing_is_written_after_the_fence()),
            *(f"epochs_only_grow: {line}" for line in self.epochs_only_grow()),
            *(f"receipts_never_change: {line}" for line in self.receipts_never_change()),
        ]

    def nothing_is_written_after_the_fence(self) -> list[str]:
        """What a connection holds only shrinks from the commit of the fence on."""
        found = []
        for owner in set(db.session.scalars(select(Disconnection.connection_id))):
            now = {
                table.__tablename__: db.session.scalar(select(func.count()).where(*_holds(table, owner))) or 0
                for table in HELD
            }
            bookmarks = select(func.count()).where(Calendar.delta_link_sealed.is_not(None))
            now["delta links"] = db.session.scalar(bookmarks.where(Calendar.connection_id == owner)) or 0
            before = self.counts.setdefault(owner, now)
            found += [f"{name} of {owner}: {before[name]}, now {now[name]}" for name in now if now[name] > before[name]]
            self.counts[owner] = now
        db.session.rollback()
        return found

    def epochs_only_grow(self) -> list[str]:
        """The fence never moves back."""
        found = []
        for owner, epoch in db.session.execute(select(Connection.id, Connection.epoch)).all():
            before = self.epochs.setdefault(owner, epoch)
            if epoch < before:
                found.append(f"{owner}: {before}, now {epoch}")
            self.epochs[owner] = epoch
        db.session.rollback()
        return found

    def receipts_never_change(self) -> list[str]:
        """The same bytes and the same signature for every repeat; none disappears."""
        found = []
        now = {row.disconnection_id: (row.body, row.signature) for row in db.session.scalars(select(Receipt))}
        for name, before in self.receipts.items():
            if now.get(name) != before:
                found.append(f"that of {name} {'changed' if name in now else 'disappeared'}")
        self.receipts.update(now)
        db.session.rollback()
        return found

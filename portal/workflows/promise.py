"""What the steps of a disconnection have in common: the work at hand, and how a step ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from portal import clock
from portal.db import db, reads_only
from portal.models import Disconnection, DisconnectionStep
from portal.models.connection import DISCONNECTING
from portal.models.disconnection_step import DONE
from portal.parts import parts
from portal.providers.base import AccessEnded, AccessReason, Provider
from portal.workflows import tokens


@dataclass(frozen=True)
class Ended:
    """How a step ended. `detail` is one sentence for people; it names no mailbox.

    Whatever goes with an outcome stands here and is written with it, or not at all: a twin of the run, thawed when the
    step has long ended, changes nothing.
    """

    outcome: str
    detail: str
    count: int | None = None
    request_ids: list[str] = field(default_factory=list)
    link: str | None = None
    link_title: str | None = None
    subscription_ends_at: datetime | None = None


class Work:
    """One disconnection at work: which connection, at which epoch, with which provider. Holds no secret."""

    def __init__(self, disconnection_id: str) -> None:
        self.id = disconnection_id

    def row(self) -> Disconnection:
        """The disconnection's row, in the current transaction."""
        return db.session.get_one(Disconnection, self.id)

    def provider(self) -> Provider:
        """The vendor behind it; ends the short read it needs."""
        slug = self.row().integration
        db.session.rollback()
        return parts().providers[slug]

    def is_over(self) -> bool:
        """Whether the time for trying is over: the deadline came, or the person wants to wait no longer."""
        with reads_only():
            row = self.row()
            over = row.erase_now_at is not None or row.deadline_at <= clock.now()
            db.session.rollback()
        return over

    def note_requests(self, step: str, request_ids: list[str]) -> None:
        """In the caller's transaction: the requests of a try that did a part, so that they stand on the receipt too."""
        of_this = DisconnectionStep.disconnection_id == self.id, DisconnectionStep.name == step
        row = db.session.scalars(select(DisconnectionStep).where(*of_this).with_for_update()).one()
        row.request_ids = [*row.request_ids, *(each for each in request_ids if each)]

    def is_open(self, step: str) -> bool:
        """Whether a step has no outcome yet: no twin of this run was quicker; the short read is over."""
        of_this = DisconnectionStep.disconnection_id == self.id, DisconnectionStep.name == step
        open_one = db.session.scalar(select(DisconnectionStep.id).where(*of_this, DisconnectionStep.outcome.is_(None)))
        db.session.rollback()
        return open_one is not None

    def attempts(self, step: str) -> int:
        """Which try of this step it is, from 1 on; the short read is over."""
        of_this = DisconnectionStep.disconnection_id == self.id, DisconnectionStep.name == step
        number = db.session.scalar(select(DisconnectionStep.attempts).where(*of_this))
        db.session.rollback()
        return number or 0

    def done_before(self, step: str) -> int:
        """How much of a step earlier tries have done, as `note_done` says; the short read is over."""
        of_this = DisconnectionStep.disconnection_id == self.id, DisconnectionStep.name == step
        count = db.session.scalar(select(DisconnectionStep.count).where(*of_this))
        db.session.rollback()
        return count or 0

    def note_done(self, step: str, count: int, request_ids: list[str]) -> None:
        """Keep what this try did, although it did not do all, in a transaction of its own."""
        of_this = DisconnectionStep.disconnection_id == self.id, DisconnectionStep.name == step
        still_open = select(DisconnectionStep).where(*of_this, DisconnectionStep.outcome.is_(None)).with_for_update()
        row = db.session.scalars(still_open.execution_options(populate_existing=True)).one_or_none()
        if row is not None:  # else a twin of this run was quicker
            row.count = (row.count or 0) + count
            self.note_requests(step, request_ids)
        db.session.commit()

    def with_access(self, call: Callable[[str], object]) -> None:
        """Do `call(access_token)`: the running disconnection alone may still use, and refresh, the tokens."""
        row = self.row()
        connection_id, epoch = row.connection_id, row.epoch
        db.session.rollback()
        tokens.with_access(connection_id, epoch, call, states=(DISCONNECTING,), is_over=self.is_over)


Promise = Callable[[Work], Ended]
"""Keeps one promise, as often as it is asked to; raises what the provider raises."""

GiveUp = Callable[[Work, str], Ended]
"""The outcome of a remote step whose time has run out; the text says what was in the way."""


def shut_out(ended: AccessEnded) -> str:
    """Why nothing can be asked of the vendor any more. What we lost ourselves is not laid at its door."""
    if ended.reason is AccessReason.SCOPE_MISSING:
        return "Microsoft refused"  # this one thing, not us
    lost = ended.reason is AccessReason.TOKEN_UNREADABLE
    return "We can no longer open our own tokens" if lost else "Microsoft no longer lets us in"


def count_of(number: int, noun: str) -> str:
    """`1 subscription`, `2 subscriptions`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def was(number: int) -> str:
    """The verb that goes with it."""
    return "was" if number == 1 else "were"


def erased(row: Disconnection) -> str:
    """Why nothing can be tried again; "" while our tokens exist."""
    step = next((each for each in row.steps if each.name == "erase_tokens"), None)
    if step is None or step.ended_at is None:
        return ""
    if step.outcome != DONE:
        return "This disconnection has ended, so nothing is tried any more."
    return f"Our tokens were erased on {at(step.ended_at)}, so nothing of ours opens the account any more."


def by(moment: datetime) -> str:
    """The same of an end that is still to come: never earlier than it is."""
    return at(up_to_the_minute(moment))


def up_to_the_minute(moment: datetime) -> datetime:
    """The full minute at or after it."""
    return moment + timedelta(microseconds=-(moment.second * 1_000_000 + moment.microsecond) % 60_000_000)


def at(moment: datetime) -> str:
    """A moment in words, for a receipt that may be read anywhere."""
    return moment.astimezone(UTC).strftime("%-d %B %Y, %H:%M UTC")

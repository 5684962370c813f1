"""Check my connection: look at it step by step, live, and say in plain words what is wrong and who can mend it.

Each step looks by itself and stores its finding, so that a page can show one after the other. No finding holds a
secret, the account's address or an event's title: it can be sent to support as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import NoResultFound

from portal import clock, live
from portal.db import db
from portal.models import Connection, Executor, SelfCheck, Subscription
from portal.models.connection import CONNECTED, CONNECTING, NEEDS_ATTENTION
from portal.parts import parts
from portal.providers.base import AccessEnded, Busy, OurFault, ProviderError, Unreachable
from portal.vault import KeysAway
from portal.workflows import tokens
from portal.workflows.epoch import Fenced
from portal.workflows.self_check_words import OURS, WAIT, of_reason

GOOD, BAD, UNKNOWN = "good", "bad", "unknown"
STATES = (CONNECTED, NEEDS_ATTENTION)
LIVES = timedelta(seconds=20)


@dataclass(frozen=True)
class Finding:
    """What one step has found. `who` can mend it, by `way` (a sentence), at `link` of ours; `about` picks articles."""

    result: str
    sentence: str
    who: str = ""
    way: str = ""
    link: str = ""
    about: str = ""


class Look:
    """One connection under the eye of one check."""

    def __init__(self, check: SelfCheck) -> None:
        connection = db.session.get(Connection, check.connection_id)
        if connection is None:
            raise Fenced(check.connection_id)
        self.id, self.epoch = connection.id, connection.epoch
        self.trouble: str = next((each["about"] for each in check.findings if each["result"] == BAD), "")
        db.session.rollback()

    def ask(self, call: Callable[[str], Any]) -> Any:
        """A call with our access."""
        return tokens.with_access(self.id, self.epoch, call, states=STATES)


def keys_there(look: Look) -> Finding:
    """Our own keys are there"""
    try:
        parts().vault.has_key(look.id)  # whether it opens anything is for a later step
    except KeysAway as away:
        return Finding(BAD, f"{away.sentence} Syncing goes on by itself as soon as we can.", *OURS, about="keys_away")
    return Finding(GOOD, "We can reach our keys.")


def microsoft_answers(look: Look) -> Finding:
    """Microsoft can be reached"""
    try:
        tokens.access_token(look.id, look.epoch, STATES, not_this_one=True)
    except (Unreachable, Busy) as error:
        return Finding(BAD, error.sentence, WAIT[0], WAIT[1], about="unreachable")
    except ProviderError:
        pass  # it answered; what it said is for the steps that follow
    return Finding(GOOD, "Microsoft answers.")


def our_secret(look: Look) -> Finding:
    """Our own registration is valid"""
    try:
        tokens.access_token(look.id, look.epoch, STATES, not_this_one=True)
    except OurFault as error:
        return Finding(BAD, error.sentence, *OURS, about="our_fault")
    except AccessEnded:
        pass
    return Finding(GOOD, "Microsoft accepts Coordinoter’s registration.")


def token_renews(look: Look) -> Finding:
    """Our access can be renewed"""
    try:
        tokens.access_token(look.id, look.epoch, STATES, not_this_one=True)
    except AccessEnded as ended:
        tokens.needs_attention(look.id, look.epoch, ended.reason)
        return Finding(BAD, *of_reason(ended.reason), about=ended.reason.value)
    connection = db.session.get_one(Connection, look.id)
    needs, reason = connection.needs_attention(), connection.attention_reason or ""
    db.session.rollback()
    if needs:
        way = "Press Reconnect on the card; syncing goes on where it stopped."
        return Finding(BAD, "Microsoft lets us in, but syncing has stopped.", "you", way, "/integrations", about=reason)
    return Finding(GOOD, "Microsoft renews our access.")


def mailbox_there(look: Look) -> Finding:
    """Your calendars are there"""
    found = look.ask(parts().providers["outlook-calendar"].calendars)
    if not found:
        return Finding(BAD, "The account has no calendar.", "you", "Make one in Outlook, then press Sync now.")
    return Finding(GOOD, f"Microsoft shows us {len(found)} calendar{'s' if len(found) > 1 else ''}.")


def consent_suffices(look: Look) -> Finding:
    """The permission is as needed"""
    connection = db.session.get_one(Connection, look.id)
    wants_to_write = connection.write_calendar_id is not None
    db.session.rollback()
    found = look.ask(parts().providers["outlook-calendar"].calendars)
    if wants_to_write and not any(each.can_edit for each in found):
        way = "Choose another calendar on the card, or “no calendar”."
        return Finding(BAD, "No calendar lets us write your meetings.", "you", way, "/integrations")
    return Finding(GOOD, "We may do what we need, and nothing more is asked.")


def subscription_alive(look: Look) -> Finding:
    """Changes are told to us"""
    ours = set(db.session.scalars(select(Subscription.provider_id).where(Subscription.connection_id == look.id)))
    db.session.rollback()
    held = look.ask(lambda access: {each.id for each in parts().providers["outlook-calendar"].subscriptions(access)})
    if ours & held:
        return Finding(GOOD, "Microsoft tells us when something changes.")
    way = "Press Sync now on the card: it makes a new one. Until then we look every five minutes."
    return Finding(BAD, "Microsoft does not tell us about changes at the moment.", "you", way, "/integrations")


def worker_runs(look: Look) -> Finding:
    """Our own engine runs"""
    living = db.session.scalar(select(func.count()).where(Executor.seen_at > clock.now() - LIVES))
    db.session.rollback()
    if living:
        return Finding(GOOD, "The part of Coordinoter that syncs is at work.")
    return Finding(BAD, "The part of Coordinoter that syncs does not run at the moment.", *OURS)


STEPS: tuple[Callable[[Look], Finding], ...] = (
    keys_there,
    microsoft_answers,
    our_secret,
    token_renews,
    mailbox_there,
    consent_suffices,
    subscription_alive,
    worker_runs,
)
REMOTE = (microsoft_answers, our_secret, token_renews, mailbox_there, consent_suffices, subscription_alive)


def start(member_id: str, connection_id: str) -> SelfCheck | None:
    """Begin to look. None when there is nothing to look at: a sign-in that is half made, or a connection that went away
    at this moment (its row is held, so that both take turns)."""
    there = select(Connection.id).where(Connection.id == connection_id, Connection.state != CONNECTING)
    if db.session.scalar(there.with_for_update(read=True)) is None:
        db.session.rollback()
        return None
    check = SelfCheck(member_id=member_id, connection_id=connection_id, findings=[])
    db.session.add(check)
    db.session.commit()
    return check


def step(check_id: str) -> bool:
    """Do the next step; False when none is left. Steps that depend on one that failed are not known.

    Whoever disconnects erases the check with the rest: then none is left either, and what was found is dropped.
    """
    check = db.session.get(SelfCheck, check_id, populate_existing=True)
    number = len(check.findings) if check else 0
    if check is None or number >= len(STEPS):
        db.session.rollback()
        return False
    found = _look(STEPS[number], check)
    check = db.session.get(SelfCheck, check_id, with_for_update=True, populate_existing=True)
    if check is None:
        db.session.rollback()
        return False
    if len(check.findings) == number:  # else another page of theirs was quicker
        title = (STEPS[number].__doc__ or "").strip()
        check.findings = [*check.findings, {"title": title, **asdict(found)}]
        live.tell(db.session(), live.member(check.member_id), "live-self-check")
    db.session.commit()
    return number + 1 < len(STEPS)


def title_of_next(check: SelfCheck) -> str:
    """What is looked at now; "" at the end."""
    return (STEPS[len(check.findings)].__doc__ or "").strip() if len(check.findings) < len(STEPS) else ""


def in_words(check: SelfCheck) -> str:
    """The result as a message to support."""
    signs = {GOOD: "fine", BAD: "not fine", UNKNOWN: "not known"}
    lines = [
        f"- {each['title']}: {signs[each['result']]}" + ("" if each["result"] == GOOD else f". {each['sentence']}")
        for each in check.findings
    ]
    return "\n".join(["I checked my connection:", "", *lines])


def _look(each: Callable[[Look], Finding], check: SelfCheck) -> Finding:
    try:
        look = Look(check)
        if look.trouble and each in REMOTE:
            return Finding(UNKNOWN, "Cannot be seen until the step above is mended.")
        return each(look)
    except AccessEnded as ended:
        return Finding(BAD, *of_reason(ended.reason), about=ended.reason.value)
    except (Fenced, NoResultFound):
        return Finding(UNKNOWN, "This connection was disconnected or changed meanwhile.")
    except KeysAway as away:
        return Finding(BAD, away.sentence, *OURS, about="keys_away")
    except ProviderError as error:
        return Finding(BAD, error.sentence, *WAIT)

"""A vendor in memory, behind the portal's own contract: a play takes milliseconds, and every call is two points.

It keeps what a real one keeps (tokens, subscriptions, events) and remembers who was given which token, so that a play
can be judged by what the vendor holds in the end.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from portal import clock
from portal.db import db
from portal.providers.base import (
    AccessEnded,
    AccessExpired,
    AccessReason,
    Account,
    AccountKind,
    Calendar,
    Changes,
    ConsentFinding,
    ConsentPage,
    ConsentWithdrawal,
    Event,
    Gone,
    Grant,
    Handover,
    NewEvent,
    Notification,
    Rejected,
    SignIn,
    Subscription,
    Tokens,
)

CALENDARS = (Calendar("c1", "Calendar", True, True), Calendar("c2", "Team", False, False))
ACCOUNT = Account("tenant", "subject", "adele@contoso.example", "Adele", AccountKind.WORK)


@dataclass
class Issued:
    """A pair of tokens: to whom (the thread's name), until when, and whether the vendor still honours each half.

    `sign_in` is the number of the pair that the sign-in brought from which this one descends.
    """

    number: int
    to: str
    ends: datetime
    sign_in: int
    access_lives: bool = True
    refresh_lives: bool = True

    @property
    def access(self) -> str:
        return f"access-{self.number}"

    @property
    def refresh(self) -> str:
        return f"refresh-{self.number}"


@dataclass
class Vendor:
    """One account, and whatever the portal makes of it. `revokes`: whether tokens can be revoked (RFC 7009)."""

    pause: Callable[[str], None] = lambda _label: None
    revokes: bool = False
    key: str = "outlook-calendar"
    title: str = "Outlook Calendar"
    issued: list[Issued] = field(default_factory=list)
    subscribed: dict[str, Subscription] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)  # event id -> mark
    revoked: list[str] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)  # name, thread
    complaints: list[str] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def copy(self) -> Vendor:
        """Another one that holds and remembers the same, and tells its complaints to nobody but itself."""
        made = Vendor(revokes=self.revokes)
        made.issued = [replace(each) for each in self.issued]
        made.subscribed, made.secrets, made.ours = dict(self.subscribed), dict(self.secrets), dict(self.ours)
        made.revoked, made.calls, made.complaints = [*self.revoked], [*self.calls], [*self.complaints]
        made._numbers = itertools.count(next(copy(self._numbers)))
        return made

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        """A point before what a call does, and one after it, before its answer is back."""
        if _in_a_transaction():
            self.complaints.append(f"a transaction was open while {name} was called")
        self.pause(f"{name}: before")
        try:
            with self._lock:
                self.calls.append((name, threading.current_thread().name))
                yield
        finally:
            self.pause(f"{name}: after")

    def _check(self, access_token: str) -> None:
        if not any(each.access == access_token and each.access_lives for each in self.issued):
            raise AccessExpired

    def _issue(self, renews: Issued | None = None) -> Tokens:
        number = next(self._numbers)
        ends = clock.now() + timedelta(minutes=60 + 37 * number % 30)  # lives differ, and a later one may end earlier
        made = Issued(number, threading.current_thread().name, ends, renews.sign_in if renews else number)
        self.issued.append(made)
        return Tokens(made.access, made.refresh, made.ends, frozenset({"Calendars.ReadWrite"}))

    # --- the contract ---

    def begin_sign_in(self, redirect_uri: str, *, login_hint: str = "", choose_account: bool = False) -> SignIn:
        with self._call("begin_sign_in"):
            state = f"state-{next(self._numbers)}"
        return SignIn(f"https://vendor.example/?state={state}", state, "nonce", "verifier")

    def finish_sign_in(
        self, redirect_uri: str, answer: Mapping[str, str], *, state: str, nonce: str, code_verifier: str
    ) -> Grant:
        with self._call("finish_sign_in"):
            tokens = self._issue()
        return Grant(ACCOUNT, tokens)

    def refresh(self, refresh_token: str) -> Tokens:
        with self._call("refresh"):
            held = next((each for each in self.issued if each.refresh == refresh_token), None)
            if held is None or not held.refresh_lives:
                raise AccessEnded(AccessReason.TOKEN_EXPIRED)
            return self._issue(held)

    def can_revoke(self) -> bool:
        return self.revokes

    def revoke(self, token: str, hint: str) -> None:
        with self._call("revoke"):
            self.revoked.append(token)
            for each in self.issued:
                each.refresh_lives = each.refresh_lives and each.refresh != token
                each.access_lives = each.access_lives and each.access != token

    def calendars(self, access_token: str) -> tuple[Calendar, ...]:
        with self._call("calendars"):
            self._check(access_token)
        return CALENDARS

    def first_changes(self, access_token: str, calendar_id: str, starts: datetime, ends: datetime) -> Changes:
        with self._call("first_changes"):
            self._check(access_token)
            events = tuple(_event(calendar_id, number) for number in range(2))
        return Changes(events, (), f"next:{calendar_id}", None)

    def next_changes(self, access_token: str, link: str) -> Changes:
        with self._call("next_changes"):
            self._check(access_token)
        kind, _, calendar_id = link.partition(":")
        events = (_event(calendar_id, 2),) if kind == "next" else ()
        return Changes(events, (), None, f"delta:{calendar_id}")

    def subscribe(self, access_token: str, url: str, client_state: str, expires_at: datetime) -> Subscription:
        with self._call("subscribe"):
            self._check(access_token)
            if self.subscribed:
                raise Rejected("there is one like it")
            made = Subscription(f"subscription-{next(self._numbers)}", "me/events", url, expires_at)
            self.subscribed[made.id], self.secrets[made.id] = made, client_state
        return made

    def subscriptions(self, access_token: str) -> Iterator[Subscription]:
        with self._call("subscriptions"):
            self._check(access_token)
            found = list(self.subscribed.values())
        yield from found

    def renew(self, access_token: str, subscription_id: str, expires_at: datetime) -> Subscription:
        with self._call("renew"):
            self._check(access_token)
            if subscription_id not in self.subscribed:
                raise Gone
            held = self.subscribed[subscription_id]
            made = Subscription(held.id, held.resource, held.notification_url, expires_at)
            self.subscribed[subscription_id] = made
        return made

    def unsubscribe(self, access_token: str, subscription_id: str) -> str:
        with self._call("unsubscribe"):
            self._check(access_token)
            if self.subscribed.pop(subscription_id, None) is None:
                raise Gone
        return "request"

    def write_event(self, access_token: str, calendar_id: str, event: NewEvent) -> str:
        with self._call("write_event"):
            self._check(access_token)
            self.ours[event.transaction_id] = event.mark
        return event.transaction_id

    def find_event(self, access_token: str, calendar_id: str, mark: str) -> str | None:
        with self._call("find_event"):
            self._check(access_token)
            return next((event_id for event_id, its in self.ours.items() if its == mark), None)

    def remove_event(self, access_token: str, event_id: str) -> str | None:
        with self._call("remove_event"):
            self._check(access_token)
            if self.ours.pop(event_id, None) is None:
                raise Gone
        return "request"

    def parse_notifications(self, body: bytes) -> tuple[Notification, ...]:
        return tuple(Notification(*each) for each in json.loads(body))

    def begin_consent_check(self, redirect_uri: str) -> SignIn:
        raise NotImplementedError

    def read_consent_check(self, answer: Mapping[str, str]) -> ConsentFinding:
        raise NotImplementedError

    def consent_page(self, kind: AccountKind, *, tenant_wide: bool = False) -> ConsentPage:
        return ConsentPage("https://vendor.example/apps", "you", "Your apps")

    def handover(self, redirect_uri: str) -> Handover:
        raise NotImplementedError

    def withdraw_consent(
        self, tenant: str, subject: str, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> ConsentWithdrawal:
        raise Rejected


def _event(calendar_id: str, number: int) -> Event:
    starts = clock.now().replace(microsecond=0) + timedelta(days=number)
    return Event(f"{calendar_id}-e{number}", "Lunch", starts, starts + timedelta(hours=1), False, False, "busy")


def _in_a_transaction() -> bool:
    try:
        return bool(db.session().in_transaction())
    except RuntimeError:  # a thread without the application: it can hold none
        return False

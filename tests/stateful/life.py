"""A life with the portal: whatever may happen to it, as rules that Hypothesis strings together in any order.

The sandbox is the vendor, over HTTP; the durable engine's work is done here, whole or only a few steps of it. After
each rule every sentence of `always.py` must hold.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from urllib.parse import parse_qsl, urlsplit

import hypothesis.strategies as st
from flask import Flask
from flask.ctx import AppContext
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select

from portal.db import db, reads_only
from portal.models import Calendar, Connection, Disconnection, Member, Subscription
from portal.models.connection import CONNECTED, CONNECTING
from portal.parts import parts
from portal.providers.base import ProviderError
from portal.vault import CannotOpen
from portal.workflows import carry_out, connect, disconnect, push, receive, sync, tokens, watch
from portal.workflows.epoch import Fenced
from portal.workflows.subscribe import CLIENT_STATE
from tests import always
from tests.always import Witness, living_access_tokens_are_known_or_told, subscriptions_at_the_vendor_are_known_or_told
from tests.stateful.points import Points
from tests.world import Microsoft, Visitor

OUTLOOK = "outlook-calendar"
MEMBERS = ("alice@northwind.example", "bob@northwind.example")
ACCOUNTS = ("adele@contoso.example", "megan@outlook.example")
PICK = st.integers(0, 5)
LOSABLE = ("/v1.0/subscriptions", "/v1.0/me/*events")
"""Where something is made at Microsoft."""

# Rules are offered only when they can do something: else most of a life would be spent on nothing.
if_connected = precondition(lambda self: self.connected)
if_running = precondition(lambda self: self.running)
if_away = precondition(lambda self: self.away)


class Life(RuleBasedStateMachine):
    """`fresh` makes new databases and returns how to make an application on them: again after every restart."""

    fresh: Callable[[], Callable[[], Flask]]
    close: Callable[[Flask], None]
    microsoft: Microsoft
    finished: int  # disconnections that came to their end, over all lives
    lives: int
    interrupted: int  # times that somebody confirmed while something was under way

    @initialize()
    def begin(self) -> None:
        type(self).lives += 1
        self.microsoft.reset()
        self.make = type(self).fresh()
        self.app: Flask | None = None
        self.context: AppContext | None = None
        self._start()
        self.members = {
            email: db.session.scalars(select(Member.id).where(Member.email == email)).one() for email in MEMBERS
        }
        db.session.rollback()
        self.witness = Witness()
        self.away: list[tuple[str, dict[str, str]]] = []
        self.secrets: list[tuple[str, str]] = []
        self.connected, self.running = 0, False
        self.connect_and_sync(MEMBERS[0], ACCOUNTS[0])

    def teardown(self) -> None:
        if getattr(self, "app", None) is not None:
            type(self).finished += len(self.witness.receipts)
            self._stop()

    def _start(self) -> None:
        self.app = self.make()
        self.context = self.app.app_context()
        self.context.push()
        self.points = Points(self.app)
        self.watched = self.points.watched()
        self.watched.__enter__()

    def _stop(self) -> None:
        assert self.app is not None
        assert self.context is not None
        self.watched.__exit__(None, None, None)
        type(self).close(self.app)
        self.context.pop()
        self.app = self.context = None

    # --- who there is ---

    def _one(self, pick: int) -> Connection | None:
        """One of the connections that are more than a sign-in; its attributes can be read until the next commit."""
        rows = db.session.scalars(
            select(Connection).where(Connection.state != CONNECTING).order_by(Connection.created_at)
        ).all()
        return rows[pick % len(rows)] if rows else None

    def _living(self, pick: int) -> tuple[str, int] | None:
        row = self._one(pick)
        found = (row.id, row.epoch) if row is not None and row.state == CONNECTED else None
        db.session.rollback()
        return found

    def _running(self, pick: int) -> str | None:
        rows = db.session.scalars(
            select(Disconnection.id).where(Disconnection.finished_at.is_(None)).order_by(Disconnection.started_at)
        ).all()
        db.session.rollback()
        return rows[pick % len(rows)] if rows else None

    def _remember_secrets(self) -> None:
        """What the vendor was given to send along: it may come back long after the connection is gone."""
        for row in db.session.scalars(select(Subscription)):
            try:
                opened = parts().vault.open(row.connection_id, CLIENT_STATE, row.client_state_sealed)
            except CannotOpen:
                continue
            if (row.provider_id, opened) not in self.secrets:
                self.secrets.append((row.provider_id, opened))
        db.session.rollback()

    # --- what people do ---

    @rule(member=st.sampled_from(MEMBERS), account=st.sampled_from(ACCOUNTS), mend=st.booleans(), pick=PICK)
    def leave(self, member: str, account: str, mend: bool, pick: int) -> None:
        """Press Connect or Reconnect, and answer at Microsoft; the way back may take until later, or for ever."""
        row = self._one(pick) if mend else None
        replaces = row if row is not None and row.is_living() and row.member_id == self.members[member] else None
        account = replaces.account_address or account if replaces is not None else account
        try:
            url = connect.start(self.members[member], OUTLOOK, "browser", replaces=replaces)
        except (connect.StillDisconnecting, ProviderError):
            return
        assert self.app is not None
        try:
            back = Visitor(self.app).through_microsoft(url, account)
        except AssertionError:
            return  # the account is disabled: Microsoft does not send anybody back
        self.away.append((member, dict(parse_qsl(urlsplit(back).query))))

    @if_away
    @rule(pick=PICK)
    def come_back(self, pick: int) -> None:
        member, answer = self.away.pop(pick % len(self.away))
        try:
            connect.finish(self.members[member], OUTLOOK, "browser", answer)
        except (ProviderError, connect.StillDisconnecting, connect.WrongAccount):
            pass
        finally:
            db.session.rollback()

    @rule(member=st.sampled_from(MEMBERS), account=st.sampled_from(ACCOUNTS))
    def connect_and_sync(self, member: str, account: str) -> None:
        before = len(self.away)
        self.leave(member, account, False, 0)
        if len(self.away) > before:
            self.come_back(before)
        never = select(Connection.id).where(Connection.state == CONNECTED, Connection.last_sync_at.is_(None))
        fresh = db.session.scalars(never).all()
        db.session.rollback()
        for connection_id in fresh:
            self._sync(connection_id)

    @if_connected
    @rule(pick=PICK)
    def choose_a_calendar(self, pick: int) -> None:
        living = self._living(pick)
        if living is not None:
            self._push(*living)

    def _push(self, connection_id: str, epoch: int) -> None:
        mine = select(Calendar.id).where(Calendar.connection_id == connection_id, Calendar.is_default)
        calendar_id = db.session.scalars(mine).first()
        db.session.rollback()
        if calendar_id is not None:
            with suppress(Fenced):
                push.choose(connection_id, epoch, calendar_id)
            self._sync(connection_id)

    @if_connected
    @rule(pick=PICK, remove=st.booleans())
    def confirm_to_disconnect(self, pick: int, remove: bool) -> None:
        self._remember_secrets()
        row = self._one(pick)
        if row is not None:
            disconnect.begin(row.id, row.member_id, remove_meetings=remove)
        db.session.rollback()

    @if_running
    @rule(pick=PICK)
    def erase_now(self, pick: int) -> None:
        running = self._running(pick)
        if running is not None:
            disconnect.erase_now(running)

    # --- what the portal does ---

    @if_connected
    @rule(pick=PICK)
    def sync(self, pick: int) -> None:
        living = self._living(pick)
        if living is not None:
            self._sync(living[0])

    def _sync(self, connection_id: str) -> None:
        if sync.want(connection_id):
            sync.sync(connection_id)

    @if_connected
    @rule(pick=PICK)
    def refresh(self, pick: int) -> None:
        living = self._living(pick)
        if living is not None:
            self._refresh(*living)

    def _refresh(self, connection_id: str, epoch: int) -> None:
        try:
            tokens.access_token(connection_id, epoch, (CONNECTED,), not_this_one=True)
        except (Fenced, ProviderError):
            db.session.rollback()

    @if_running
    @rule(pick=PICK, steps=st.integers(1, 9))
    def work_and_be_interrupted(self, pick: int, steps: int) -> None:
        running = self._running(pick)
        for step in disconnect.STEPS[:steps] if running else ():
            if carry_out.attempt(step.name, str(running)) is not None:
                return

    @if_running
    @rule(pick=PICK)
    def work_to_the_end(self, pick: int) -> None:
        running = self._running(pick)
        if running is not None:
            carry_out.run(running)
            db.session.rollback()
            assert db.session.get_one(Disconnection, running).finished_at is not None
            db.session.rollback()

    @if_connected
    @rule(pick=PICK, remove=st.booleans())
    def disconnect_and_wait(self, pick: int, remove: bool) -> None:
        """As most people do it: confirm, and stay until it has ended."""
        self.confirm_to_disconnect(pick, remove)
        while (running := self._running(0)) is not None:
            carry_out.run(running)

    @rule()
    def restart(self) -> None:
        self._stop()
        self._start()

    @rule()
    def watch_at_night(self) -> None:
        assert watch.watch()["rows"] == 0, "rows of no connection were left lying about"

    # --- what falls into something else ---

    @if_connected
    @rule(pick=PICK, at=st.integers(0, 60), to_the_end=st.booleans())
    def confirm_during_a_sync(self, pick: int, at: int, to_the_end: bool) -> None:
        self._confirm_during(lambda connection_id, _epoch: self._sync(connection_id), pick, at, to_the_end)

    @if_connected
    @rule(pick=PICK, at=st.integers(0, 9), to_the_end=st.booleans())
    def confirm_during_a_refresh(self, pick: int, at: int, to_the_end: bool) -> None:
        self._confirm_during(self._refresh, pick, at, to_the_end)

    @if_connected
    @rule(pick=PICK, at=st.integers(0, 60), to_the_end=st.booleans())
    def confirm_during_a_push(self, pick: int, at: int, to_the_end: bool) -> None:
        self._confirm_during(self._push, pick, at, to_the_end)

    def _confirm_during(self, work: Callable[[str, int], None], pick: int, at: int, to_the_end: bool) -> None:
        """Somebody confirms while something is under way, between any two of its points; then it goes on."""
        self._remember_secrets()
        row = self._one(pick)
        if row is None or not row.is_living():
            return
        connection_id, epoch, member_id = row.id, row.epoch, row.member_id
        type(self).interrupted += 1
        held, seen = set[tuple[object, ...]](), list[str]()

        def confirm() -> None:
            begun = disconnect.begin(connection_id, member_id)
            running = begun.id if begun is not None else None
            db.session.rollback()
            with reads_only():
                held.update(always.held(connection_id))
                seen.extend(self.witness.look_back())
            if to_the_end and running is not None:
                carry_out.run(running)

        turns = self.points.interrupt(lambda: work(connection_id, epoch), at, confirm)
        seen += [f"{each.name} broke: {each.error!r}" for each in turns.actors.values() if each.error is not None]
        seen += [f"after the fence {row[0]} was written" for row in always.held(connection_id) - held]
        assert not seen, "\n".join([*seen, turns.story()])

    # --- what Microsoft does ---

    @rule(pick=PICK, lifecycle=st.sampled_from(["", "missed", "subscriptionRemoved", "reauthorizationRequired"]))
    def notify(self, pick: int, lifecycle: str) -> None:
        self._remember_secrets()
        if self.secrets:
            name, secret = self.secrets[pick % len(self.secrets)]
            if lifecycle == "subscriptionRemoved" and name in dict(self._subscribed()):
                return  # Microsoft says so only of one that it has removed
            told = {"subscriptionId": name, "clientState": secret, "lifecycleEvent": lifecycle}
            receive.notifications(OUTLOOK, json.dumps({"value": [told]}).encode())

    @rule(account=st.sampled_from(ACCOUNTS))
    def withdraw_consent(self, account: str) -> None:
        self.microsoft.desk("POST", f"accounts/{account}/withdraw", tenant_wide=False)

    @rule(account=st.sampled_from(ACCOUNTS))
    def expire_access(self, account: str) -> None:
        self.microsoft.desk("POST", f"accounts/{account}/expire-tokens", kinds=["access"])

    @rule(account=st.sampled_from(ACCOUNTS), enabled=st.booleans())
    def enable_or_disable(self, account: str, enabled: bool) -> None:
        self.microsoft.desk("PATCH", f"accounts/{account}", enabled=enabled)

    @rule(what=st.sampled_from(["subscriptions", "token", "graph", *LOSABLE]), times=st.integers(1, 3))
    def be_unavailable(self, what: str, times: int) -> None:
        """Do nothing and say so; or do what was asked for, which nobody ever hears of."""
        if what in LOSABLE:
            self.microsoft.desk("POST", "faults", kind="drop_after", method="POST", path=what, times=1)
        else:
            self.microsoft.breaks("status", what, status=503, times=times)

    @rule()
    def be_available_again(self) -> None:
        self.microsoft.mend()

    # --- what must hold after each of them ---

    @invariant()
    def every_sentence_holds(self) -> None:
        if getattr(self, "app", None) is None:
            return
        db.session.rollback()
        ends = [self.microsoft.holds(account)["access_tokens"]["last_expires"] for account in ACCOUNTS]
        broken = [
            *self.witness.look(),
            *subscriptions_at_the_vendor_are_known_or_told(self._subscribed()),
            *living_access_tokens_are_known_or_told(datetime.fromisoformat(end) for end in ends if end),
        ]
        assert not broken, "\n".join(broken)
        states = db.session.scalars(select(Connection.state)).all()
        self.connected, self.running = states.count(CONNECTED), bool(self._running(0))
        db.session.rollback()

    def _subscribed(self) -> list[tuple[str, datetime]]:
        held = self.microsoft.desk("GET", "subscriptions")
        return [(each["id"], datetime.fromisoformat(each["expires"])) for each in held]

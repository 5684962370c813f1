"""Everything one sandbox knows, in memory, in one object per app. No module keeps state of its own.

Tokens, codes and cookies are kept by their SHA-256 digest only, so nothing that shows or saves the storage can leak
one.
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from .clock import Clock
from .ids import GRAPH_APP, digest
from .records.desk import Call, Fault
from .records.identity import (
    AccessToken,
    ApprovalRequest,
    BrowserSession,
    Client,
    Code,
    Flow,
    Grant,
    Person,
    RefreshToken,
    ServicePrincipal,
    Tenant,
)
from .records.mailbox import Delivery, Mailbox, Subscription


class Storage:
    """The whole state of one sandbox. Take `lock` around anything that reads and then writes."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lock = threading.RLock()
        self.handshake_seconds = 10.0
        # Called as (oid, "created" | "updated" | "deleted", event id, immutable id) after every change of an event.
        self.on_change: Callable[[str, str, str, str], None] = lambda *change: None
        # Called after a consent has ended.
        self.on_grant_ended: Callable[[Grant], None] = lambda grant: None
        self.clear()

    def clear(self) -> None:
        """Forget everything; the caller seeds again."""
        self.tenants: dict[str, Tenant] = {}
        self.people: dict[str, Person] = {}
        self.clients: dict[str, Client] = {}
        self.principals: dict[str, ServicePrincipal] = {}
        self.grants: dict[str, Grant] = {}
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, RefreshToken] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.sessions: dict[str, BrowserSession] = {}
        self.flows: dict[str, Flow] = {}
        self.mailboxes: dict[str, Mailbox] = {}
        self.subscriptions: dict[str, Subscription] = {}
        self.calls: deque[Call] = deque(maxlen=2000)
        self.deliveries: deque[Delivery] = deque(maxlen=2000)
        self.faults: list[Fault] = []
        self.requests: list[ApprovalRequest] = []
        self.offers_revocation = False
        # Per application and mailbox: requests being worked on, and when the recent ones came.
        self.in_flight: Counter[tuple[str, str]] = Counter()
        self.recent: dict[tuple[str, str], deque[datetime]] = {}

    def tenant(self, segment: str) -> Tenant | None:
        """The directory of a GUID or a verified domain; None for the shared segments and for strangers."""
        return next((t for t in self.tenants.values() if segment.lower() in {t.id, t.domain}), None)

    def person(self, address: str) -> Person | None:
        """By address or object id, case ignored."""
        wanted = address.strip().lower()
        return next((p for p in self.people.values() if wanted in {p.address.lower(), p.oid}), None)

    def mailbox(self, oid: str) -> Mailbox:
        return self.mailboxes.setdefault(oid, Mailbox())

    def grants_for(self, person: Person, client: str) -> Iterator[Grant]:
        """The person's own consents and the tenant-wide ones, to whatever resource."""
        for grant in list(self.grants.values()):
            if grant.tid == person.tid and grant.client == client and grant.principal in {person.oid, None}:
                yield grant

    def consented(self, person: Person, client: str) -> frozenset[str]:
        """Every scope of Graph that some grant gives the application for this person."""
        scopes: frozenset[str] = frozenset()
        return scopes.union(*(g.scopes for g in self.grants_for(person, client) if g.resource == GRAPH_APP))

    def principal(self, tid: str, client: str) -> ServicePrincipal:
        """The tenant's service principal for an application, made at first need with a lasting id."""
        oid = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{tid}/{client}"))
        if oid not in self.principals:
            self.principals[oid] = ServicePrincipal(oid, tid, client)
        return self.principals[oid]

    def session(self, cookie: str) -> BrowserSession:
        return self.sessions.get(digest(cookie), BrowserSession())

    def drop_expired_subscriptions(self) -> None:
        """A subscription is gone once its time has come; Microsoft sends no word."""
        now = self.clock.now()
        self.subscriptions = {key: held for key, held in self.subscriptions.items() if held.expires > now}

    def sweep(self) -> None:
        """Drop what can no longer matter, so that a long demo does not grow for ever."""
        now = self.clock.now()
        self.flows = {key: f for key, f in self.flows.items() if now - f.started < timedelta(hours=1)}
        self.codes = {key: c for key, c in self.codes.items() if now - c.issued < timedelta(hours=1)}
        day = timedelta(days=1)
        self.access_tokens = {key: t for key, t in self.access_tokens.items() if t.expires + day > now}

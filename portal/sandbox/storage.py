"""Everything one sandbox knows, in memory, in one object per app. No module keeps state of its own.

Tokens, codes and cookies are kept by their SHA-256 digest only, so nothing that shows or saves the storage can leak
one.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from .clock import Clock

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(slots=True)
class Tenant:
    """A directory. `consent` says what its people may consent to by themselves:
    `open` anything not reserved for admins, `default` no calendar scopes (Microsoft's default since 2025),
    `workflow` as `default`, but people can send their admin a request.
    """

    id: str
    domain: str
    name: str
    consent: str = "open"
    region: str = "EU"

    @property
    def personal(self) -> bool:
        return self.id == CONSUMERS


@dataclass(slots=True)
class Person:
    """An account. `problem` is an AADSTS number that every silent token request meets until a fresh sign-in;
    `withheld` are scopes never granted, whatever was asked for; `challenge` are claims (JSON) that Graph wants to see
    in a token from now on; `mailbox` is the Graph code that every mailbox call meets."""

    oid: str
    tid: str
    address: str
    name: str
    valid_from: datetime
    admin: bool = False
    enabled: bool = True
    mailbox: str = ""
    time_zone: str = "UTC"
    problem: int = 0
    withheld: frozenset[str] = frozenset()
    challenge: str = ""


@dataclass(slots=True)
class Secret:
    digest: str
    hint: str
    expires: datetime | None = None


@dataclass(slots=True)
class Client:
    """An application registration. `certificates` are PEM texts; `permissions` and `app_permissions` are what it
    declares, so what `.default` and an administrator's consent to everything mean; `id_tokens` says whether
    /authorize may issue them (the hybrid flow)."""

    id: str
    name: str
    secrets: list[Secret]
    redirect_uris: list[str]
    logout_url: str = ""
    certificates: list[str] = field(default_factory=list)
    permissions: tuple[str, ...] = (
        "openid",
        "profile",
        "email",
        "offline_access",
        "User.Read",
        "Calendars.ReadWrite",
    )
    app_permissions: tuple[str, ...] = ()
    id_tokens: bool = True


@dataclass(slots=True)
class ServicePrincipal:
    """How one tenant knows one application: here it can be switched off, given app roles, or be gone.

    `present` is False before the first consent; `deleted` after an administrator removed it.
    """

    id: str
    tid: str
    client: str
    enabled: bool = True
    present: bool = False
    deleted: bool = False
    app_roles: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Grant:
    """A consent. `principal` is a person's oid, or None for everybody in the tenant."""

    id: str
    tid: str
    client: str
    principal: str | None
    scopes: frozenset[str]
    made: datetime


@dataclass(slots=True)
class Code:
    client: str
    oid: str
    redirect_uri: str
    scopes: tuple[str, ...]
    issued: datetime
    nonce: str = ""
    qualified: str = ""  # how the scopes were spelt: with the resource in front, or short
    challenge: str = ""
    challenge_method: str = "plain"
    auth_time: datetime | None = None
    redeemed: bool = False


@dataclass(slots=True)
class RefreshToken:
    client: str
    oid: str
    issued: datetime
    used: datetime
    scopes: tuple[str, ...]
    ended: int = 0  # the AADSTS number it meets since it was ended; 0 while it lives


@dataclass(slots=True)
class AccessToken:
    """`oid` is empty for a token of the application itself, whose `roles` are then what it may do."""

    client: str
    tid: str
    oid: str
    issued: datetime
    expires: datetime
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    cae: bool = False
    claims: str = ""


@dataclass(slots=True)
class BrowserSession:
    """The accounts signed in to one browser: oid to the moment of sign-in, and the apps visited."""

    accounts: dict[str, datetime] = field(default_factory=dict)
    clients: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Flow:
    """One visit to /authorize on its way through the pages."""

    tenant: str
    params: dict[str, str]
    started: datetime
    oid: str = ""
    auth_time: datetime | None = None


@dataclass(slots=True)
class Calendar:
    id: str
    name: str
    color: str = "auto"
    hex_color: str = ""
    default: bool = False
    can_edit: bool = True
    owner: tuple[str, str] | None = None
    version: int = 0


@dataclass(slots=True)
class Event:
    """A single event, a series master, or an exception of a series (occurrences are computed, never stored).

    `start` and `end` are wall-clock times in `zone`, a Windows or IANA name. `fields` holds Graph's own JSON for what
    the sandbox only carries (subject, body, attendees ...). `original` is the wall-clock start that an exception had.
    """

    id: str
    immutable_id: str
    calendar: str
    start: datetime
    end: datetime
    zone: str
    created: datetime
    modified: datetime
    version: int
    fields: dict[str, Any] = field(default_factory=dict)
    all_day: bool = False
    uid: str = ""
    recurrence: dict[str, Any] | None = None
    cancelled: set[str] = field(default_factory=set)
    master: str = ""
    original: datetime | None = None
    transaction: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(slots=True)
class Delta:
    """What a delta token remembers: its window, what the reader has seen, and what is still to be handed out.

    `known` maps the key of everything the reader was told to the version told. `pending` lists (key, version or None
    for removed); it is empty for a deltaLink.
    """

    calendar: str
    start: datetime
    end: datetime
    known: dict[str, int]
    pending: list[tuple[str, int | None]] = field(default_factory=list)
    offset: int = 0
    spent: str = ""


@dataclass(slots=True)
class Mailbox:
    calendars: dict[str, Calendar] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    deltas: dict[str, Delta] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)  # id to immutable id of what was deleted or moved away
    version: int = 0
    invitations: int = 0  # mails that Exchange would have sent to attendees
    cancellations: int = 0

    def tick(self) -> int:
        """The next version number of this mailbox: every change takes one."""
        self.version += 1
        return self.version

    def default(self) -> Calendar:
        return next(calendar for calendar in self.calendars.values() if calendar.default)


@dataclass(slots=True)
class Subscription:
    """A webhook registration; `access_until` is how long the token behind it lets Microsoft look into the mailbox."""

    id: str
    client: str
    oid: str
    resource: str
    changes: frozenset[str]
    url: str
    lifecycle_url: str
    state: str | None
    expires: datetime
    access_until: datetime
    immutable: bool = False
    warned: bool = False


@dataclass(slots=True)
class ApprovalRequest:
    """What a person sent to their administrator instead of consenting (the admin consent workflow)."""

    oid: str
    client: str
    scopes: frozenset[str]
    reason: str
    sent: datetime


@dataclass(slots=True)
class Call:
    """One request that somebody made, with every secret blanked."""

    at: datetime
    method: str
    path: str
    query: str
    body: str
    status: int
    account: str
    request_id: str
    client_request_id: str
    agent: str
    fault: str = ""


@dataclass(slots=True)
class Delivery:
    """One POST to a notification URL: `attempts` so far, `note` how the latest went, `outcome` where it stands."""

    id: str
    url: str
    kind: str
    subscriptions: list[str]
    body: dict[str, Any]
    queued: datetime
    due: datetime
    attempts: int = 0
    outcome: str = "waiting"
    note: str = ""


@dataclass(slots=True)
class Fault:
    """A misfortune waiting for its request; see `desk/faults.py` for the kinds. `times` None means for ever."""

    id: str
    kind: str
    path: str
    method: str = "*"
    account: str = ""
    grant_type: str = ""
    times: int | None = 1
    skip: int = 0
    status: int = 503
    code: str = ""
    aadsts: int = 0
    suberror: str = ""
    message: str = "Ordered at the desk."
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = ""
    delay: float = 0.0
    retry_after: str = ""
    location: str = "http://elsewhere.invalid/"
    met: int = 0


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
        """The person's own consent and the tenant-wide one."""
        for grant in list(self.grants.values()):
            if grant.tid == person.tid and grant.client == client and grant.principal in {person.oid, None}:
                yield grant

    def consented(self, person: Person, client: str) -> frozenset[str]:
        """Every scope that some grant gives the application for this person."""
        scopes: frozenset[str] = frozenset()
        return scopes.union(*(grant.scopes for grant in self.grants_for(person, client)))

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


def new_secret(prefix: str = "", size: int = 48) -> str:
    return prefix + secrets.token_urlsafe(size)


def new_id() -> str:
    return str(uuid.uuid4())

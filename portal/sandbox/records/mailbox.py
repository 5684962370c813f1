"""What the Graph half remembers: calendars, events, delta tokens, subscriptions and deliveries."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


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

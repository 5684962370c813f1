"""Changing what a mailbox holds: the one place that makes, alters and removes calendars and events.

The Graph endpoints, the seed and the desk all come here, so every change takes a version number (delta reads them) and
is told to the subscriptions.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from .records.mailbox import Calendar, Event, Mailbox
from .storage import Storage


def new_item_id(prefix: str = "AAMkAD") -> str:
    """An id as long and as opaque as Exchange's; safe in a path."""
    return prefix + base64.urlsafe_b64encode(secrets.token_bytes(63)).decode() + "AAA="


def add_calendar(storage: Storage, oid: str, name: str, **more: Any) -> Calendar:
    """Add a calendar; the first one of a mailbox is its default."""
    box = storage.mailbox(oid)
    with storage.lock:
        calendar = Calendar(id=new_item_id("AAMkCA"), name=name, version=box.tick(), **more)
        calendar.default = not box.calendars
        box.calendars[calendar.id] = calendar
        return calendar


def remove_calendar(storage: Storage, oid: str, calendar_id: str) -> None:
    """Remove a calendar with everything in it."""
    box = storage.mailbox(oid)
    with storage.lock:
        for event in [e for e in box.events.values() if e.calendar == calendar_id and not e.master]:
            remove_event(storage, oid, event)
        del box.calendars[calendar_id]
        box.tick()


def add_event(
    storage: Storage, oid: str, calendar: str, start: datetime, end: datetime, zone: str, **more: Any
) -> Event:
    """Put an event (or series master, or exception) into a calendar and tell the subscriptions.

    `start` and `end` are wall-clock times in `zone`; further keywords are Event's own fields.
    """
    box = storage.mailbox(oid)
    now = storage.clock.now()
    with storage.lock:
        event = Event(
            id=more.pop("id", "") or new_item_id(),
            immutable_id=more.pop("immutable_id", "") or new_item_id("AAkALg"),
            calendar=calendar,
            start=start,
            end=end,
            zone=zone,
            created=now,
            modified=now,
            version=box.tick(),
            **more,
        )
        event.uid = event.uid or f"040000008200E00074C5B7101A82E008{secrets.token_hex(20).upper()}"
        box.events[event.id] = event
    # An exception is news about its series, which was there before.
    storage.on_change(oid, "updated" if event.master else "created", event.id, event.immutable_id)
    return event


def change_event(storage: Storage, oid: str, event: Event, change: Callable[[Event], None]) -> None:
    """Apply `change` to an event under a new version. A changed series drags its exceptions along."""
    box = storage.mailbox(oid)
    with storage.lock:
        change(event)
        event.version = box.tick()
        event.modified = storage.clock.now()
    storage.on_change(oid, "updated", event.id, event.immutable_id)


def remove_event(storage: Storage, oid: str, event: Event) -> None:
    """Remove an event; a series goes with its exceptions, an exception leaves a hole in its series."""
    box = storage.mailbox(oid)
    with storage.lock:
        if box.events.pop(event.id, None) is None:
            return
        box.tick()
        box.gone[event.id] = event.immutable_id
        for exception in [e for e in box.events.values() if e.master == event.id]:
            del box.events[exception.id]
        master = box.events.get(event.master)
        if master and event.original:
            master.cancelled.add(event.original.isoformat())
            master.version = box.tick()
    storage.on_change(oid, "deleted", event.id, event.immutable_id)


def cancel_occurrence(storage: Storage, oid: str, master: Event, original: datetime, key: str) -> None:
    """Take one date out of a series."""
    box = storage.mailbox(oid)
    with storage.lock:
        master.cancelled.add(original.isoformat())
        master.version = box.tick()
    storage.on_change(oid, "deleted", key, key)


def move_event(storage: Storage, oid: str, event: Event, calendar: str) -> None:
    """Move to another calendar, as Outlook's own program can: the id changes, the immutable id stays."""
    box = storage.mailbox(oid)
    old_id = event.id
    with storage.lock:
        del box.events[event.id]
        box.gone[old_id] = event.immutable_id
        event.id, event.calendar, event.version = new_item_id(), calendar, box.tick()
        event.modified = storage.clock.now()
        box.events[event.id] = event
        for exception in [e for e in box.events.values() if e.master == old_id]:
            del box.events[exception.id]
            exception.id = exception.id.replace(old_id, event.id)
            exception.master, exception.calendar, exception.version = event.id, calendar, box.version
            box.events[exception.id] = exception
    storage.on_change(oid, "deleted", old_id, event.immutable_id)
    storage.on_change(oid, "created", event.id, event.immutable_id)


def add_exception(storage: Storage, oid: str, master: Event, original: datetime, **more: Any) -> Event:
    """Make one occurrence of a series differ from the rest; it keeps the id it had as an occurrence."""
    return add_event(
        storage,
        oid,
        master.calendar,
        more.pop("start", original),
        more.pop("end", original + (master.end - master.start)),
        master.zone,
        id=occurrence_id(master, original),
        immutable_id=occurrence_id(master, original, immutable=True),
        master=master.id,
        original=original,
        uid=master.uid,
        all_day=master.all_day,
        fields={**master.fields, **more},
    )


def occurrence_id(master: Event, original: datetime, immutable: bool = False) -> str:
    """The id of a computed occurrence: its master's, and the wall-clock time it was planned for."""
    return f"{master.immutable_id if immutable else master.id}.{original:%Y%m%dT%H%M}"


def find_event(box: Mailbox, key: str) -> Event | None:
    """By id or immutable id."""
    return box.events.get(key) or next((e for e in box.events.values() if e.immutable_id == key), None)

"""What the person does in Outlook itself, to their calendars and events; and delta links that Microsoft forgets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ..graph.errors import GraphError
from ..graph.event_input import draft, from_draft
from ..mailbox import add_calendar, change_event, move_event, remove_calendar, remove_event
from ..records.identity import Person
from ..records.mailbox import Calendar, Event
from ..seed import more
from ..storage import Storage
from .actions import Refused

SPENT = ("410", "syncStateNotFound", "resyncRequired")


def spend_deltas(storage: Storage, who: Person, how: str = "410") -> int:
    """Evict the account's delta tokens; their next use asks for a full round. How many went."""
    if how not in SPENT:
        raise Refused(f"Say how: {', '.join(SPENT)}.")
    with storage.lock:
        living = [delta for delta in storage.mailbox(who.oid).deltas.values() if not delta.spent]
        for delta in living:
            delta.spent = how
        return len(living)


def add_events(storage: Storage, who: Person, count: int, calendar: str = "") -> list[Event]:
    """Further events in the person's default calendar, or in one named by id or name."""
    if not 0 < count <= 20_000:
        raise Refused("Say how many events, from 1 to 20000.")
    where = _calendar(storage, who, calendar)
    with storage.lock:
        return more(storage, who.oid, where.id, count)


def add_exactly(storage: Storage, who: Person, told: list[dict[str, Any]], calendar: str = "") -> list[Event]:
    """These events, written as Graph would be sent them (series too). Raises Refused."""
    where = _calendar(storage, who, calendar)
    try:
        drafts = [draft(each) for each in told]
    except GraphError as bad:
        raise Refused(bad.message) from bad
    with storage.lock:
        return [from_draft(storage, who.oid, where.id, each) for each in drafts]


def _calendar(storage: Storage, who: Person, name: str) -> Calendar:
    box = storage.mailbox(who.oid)
    found = [c for c in box.calendars.values() if name in {c.id, c.name}] if name else [box.default()]
    if not found:
        raise Refused(f"{who.address} has no calendar {name!r}.")
    return found[0]


def new_calendar(storage: Storage, who: Person, name: str, *, can_edit: bool = True) -> Calendar:
    """A further calendar; one that cannot be edited is as if somebody else had shared it."""
    if not name:
        raise Refused("The calendar needs a name.")
    return add_calendar(storage, who.oid, name, can_edit=can_edit)


def drop_calendar(storage: Storage, who: Person, name: str) -> None:
    """Any calendar but the default one. Raises Refused."""
    found = _calendar(storage, who, name)
    if found.default:
        raise Refused("The default calendar cannot be deleted.")
    remove_calendar(storage, who.oid, found.id)


def event(storage: Storage, who: Person, key: str) -> Event:
    found = storage.mailbox(who.oid).events.get(key)
    if found is None:
        raise Refused("There is no such event.")
    return found


def alter_event(storage: Storage, who: Person, key: str, told: dict[str, Any]) -> Event:
    """The person changes an event in Outlook itself: subject, a shift in minutes, another calendar."""
    found = event(storage, who, key)

    def change(each: Event) -> None:
        if told.get("subject"):
            each.fields["subject"] = str(told["subject"])
        shift = timedelta(minutes=float(told.get("shift_minutes") or 0))
        each.start, each.end = each.start + shift, each.end + shift

    change_event(storage, who.oid, found, change)
    if told.get("calendar"):
        if told["calendar"] not in storage.mailbox(who.oid).calendars:
            raise Refused("There is no such calendar.")
        move_event(storage, who.oid, found, str(told["calendar"]))
    return found


def drop_event(storage: Storage, who: Person, key: str) -> None:
    remove_event(storage, who.oid, event(storage, who, key))

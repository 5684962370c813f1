"""Events, one by one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request

from ..context import storage
from ..mailbox import add_exception, cancel_occurrence, change_event, find_event, remove_event
from ..records.mailbox import Event
from .calendars import body, find_calendar, window
from .caller import READ, WRITE, Caller, mailbox_of
from .errors import GraphError, not_found
from .event_input import Draft, apply, draft, from_draft
from .odata import collection, reply, select
from .recur import Item, lay_out, series, split_occurrence
from .shape import context, etag, event_json, wanted_zone, whole

blueprint = Blueprint("events", __name__)


def find_item(caller: Caller, key: str) -> Item:
    """A stored event, or a computed occurrence, by either kind of id. Raises GraphError 404."""
    stored = find_event(caller.mailbox, key)
    if stored:
        return whole(stored)
    split = split_occurrence(key)
    master = find_event(caller.mailbox, split[0]) if split else None
    if split and master and master.recurrence:
        for begins, ends in series(master):
            if begins == split[1]:
                events = list(caller.mailbox.events.values())
                moved = next((e for e in events if e.master == master.id and e.original == begins), None)
                return whole(moved) if moved else Item(key, "occurrence", master, begins, ends, master.version)
            if begins > split[1]:
                break
    raise not_found()


def full(item: Item, caller: Caller, zone_name: str) -> dict[str, Any]:
    """An event with the extended properties and extensions that only `$expand` may show."""
    told = event_json(item, caller, zone_name)
    told["singleValueExtendedProperties"] = [{"id": k, "value": v} for k, v in item.event.properties.items()]
    told["extensions"] = list(item.event.extensions.values())
    return told


def finish(told: dict[str, Any]) -> dict[str, Any]:
    """Take out again what `$expand` did not ask for."""
    wanted = request.args.get("$expand", "")
    shown = [each for each in told.pop("singleValueExtendedProperties", []) if f"'{each['id']}'" in wanted]
    extensions = told.pop("extensions", [])
    if shown:
        told["singleValueExtendedProperties"] = shown
    if "extensions" in wanted.lower():
        told["extensions"] = extensions
    return told


def entity(item: Item, caller: Caller, status: int = 200) -> Response:
    told = select(finish(full(item, caller, wanted_zone())))
    at = context(f"users('{caller.person.oid}')/events/$entity")
    answer = reply({"@odata.context": at, **told}, status)
    answer.headers["ETag"] = etag(item.event)
    return answer


@blueprint.get("/v1.0/me/events", defaults={"key": None})
@blueprint.get("/v1.0/me/calendar/events", defaults={"key": None})
@blueprint.get("/v1.0/me/calendars/<key>/events")
def list_events(key: str | None) -> Response:
    """https://learn.microsoft.com/graph/api/user-list-events: single events and series masters, newest first.

    `/me/events` is read strictly: the default calendar alone.
    """
    caller = mailbox_of(*READ)
    calendar = find_calendar(caller.mailbox, key).id
    name = wanted_zone()
    with storage().lock:
        events = [e for e in caller.mailbox.events.values() if not e.master and calendar == e.calendar]
        events.sort(key=lambda event: (event.created, event.version), reverse=True)
        rows = [full(whole(event), caller, name) for event in events]
    return collection(context(f"users('{caller.person.oid}')/events"), rows, finish)


@blueprint.get("/v1.0/me/events/<key>")
@blueprint.get("/v1.0/me/calendar/events/<key>")
@blueprint.get("/v1.0/me/calendars/<_calendar>/events/<key>")
def get_event(key: str, _calendar: str = "") -> Response:
    """https://learn.microsoft.com/graph/api/event-get"""
    caller = mailbox_of(*READ)
    return entity(find_item(caller, key), caller)


@blueprint.get("/v1.0/me/events/<key>/instances")
def instances(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/event-list-instances"""
    caller = mailbox_of(*READ)
    item = find_item(caller, key)
    start, end = window()
    name = wanted_zone()
    laid = lay_out(caller.mailbox, item.event.calendar, start, end)
    rows = [event_json(each, caller, name) for each in laid if item.event.id in {each.event.id, each.event.master}]
    return collection(context(f"users('{caller.person.oid}')/events('{key}')/instances"), rows)


@blueprint.post("/v1.0/me/events", defaults={"key": None})
@blueprint.post("/v1.0/me/calendar/events", defaults={"key": None})
@blueprint.post("/v1.0/me/calendars/<key>/events")
def create_event(key: str | None) -> Response:
    """https://learn.microsoft.com/graph/api/user-post-events

    A `transactionId` seen before answers with the event it made, and makes no twin. Invitations are counted, not sent.
    """
    caller, told = mailbox_of(*WRITE), body()
    calendar = find_calendar(caller.mailbox, key)
    if not calendar.can_edit:
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    wanted = draft(told)
    with storage().lock:
        events = list(caller.mailbox.events.values())
        twin = next((e for e in events if wanted.transaction and e.transaction == wanted.transaction), None)
        made = twin or _make(caller, calendar.id, wanted)
    return entity(whole(made), caller, 201)


def _make(caller: Caller, calendar: str, wanted: Draft) -> Event:
    caller.mailbox.invitations += len(wanted.fields.get("attendees", []))
    return from_draft(storage(), caller.person.oid, calendar, wanted)


def check_match(event: Event) -> None:
    """`If-Match`: the change is refused when somebody else came first. Raises GraphError 412."""
    wanted = request.headers.get("If-Match", "*")
    if wanted != "*" and wanted != etag(event):
        raise GraphError(
            412,
            "ErrorIrresolvableConflict",
            "The change key passed in the request does not match the current change key for the item.",
        )


@blueprint.patch("/v1.0/me/events/<key>")
@blueprint.patch("/v1.0/me/calendar/events/<key>")
@blueprint.patch("/v1.0/me/calendars/<_calendar>/events/<key>")
def patch_event(key: str, _calendar: str = "") -> Response:
    """https://learn.microsoft.com/graph/api/event-update: changing one occurrence makes it an exception."""
    caller, told = mailbox_of(*WRITE), body()
    with storage().lock:
        item = find_item(caller, key)
        check_match(item.event)
        wanted = draft(told, item.event)
        if item.kind == "occurrence":
            event = add_exception(storage(), caller.person.oid, item.event, item.start)
            apply(event, wanted)
        else:
            event = item.event
            change_event(storage(), caller.person.oid, event, lambda each: apply(each, wanted))
    return entity(whole(event), caller)


@blueprint.delete("/v1.0/me/events/<key>")
@blueprint.delete("/v1.0/me/calendar/events/<key>")
@blueprint.delete("/v1.0/me/calendars/<_calendar>/events/<key>")
def delete_event(key: str, _calendar: str = "") -> Response:
    """https://learn.microsoft.com/graph/api/event-delete. An organizer's attendees are mailed.

    Sends no mail, but counts what Exchange would have sent: the desk shows it.
    """
    caller = mailbox_of(*WRITE)
    with storage().lock:
        item = find_item(caller, key)
        check_match(item.event)
        if item.kind == "occurrence":
            cancel_occurrence(storage(), caller.person.oid, item.event, item.start, key)
        else:
            remove_event(storage(), caller.person.oid, item.event)
        if full(item, caller, "UTC")["isOrganizer"]:
            caller.mailbox.cancellations += len(item.event.fields.get("attendees", []))
    return Response(status=204)

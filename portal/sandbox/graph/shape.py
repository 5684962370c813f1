"""Writing calendars and events as Graph does.

Follows https://learn.microsoft.com/graph/api/resources/event and .../calendar. Leaves out attachments, reminders that
fire, and the properties of shared and group calendars.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from flask import g

from ..context import graph_origin, storage
from ..mailbox import occurrence_id
from ..records.identity import Person
from ..records.mailbox import Calendar, Event
from .caller import Caller, immutable_ids, prefer
from .errors import bad_request
from .recur import Item
from .zones import UnknownZone, to_utc, to_wall, zone

BASE = "/v1.0"


def iso(moment: datetime) -> str:
    """2026-01-31T09:00:00Z"""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def iso_fine(moment: datetime) -> str:
    """2026-01-31T09:00:00.0000000Z"""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}0Z"


def context(path: str) -> str:
    return f"{graph_origin()}{BASE}/$metadata#{path}"


def calendar_json(calendar: Calendar, person: Person) -> dict[str, Any]:
    name, address = calendar.owner or (person.name, person.address)
    personal = storage().tenants[person.tid].personal
    providers = [] if personal else ["teamsForBusiness"]
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": calendar.color,
        "hexColor": calendar.hex_color,
        "isDefaultCalendar": calendar.default,
        "changeKey": change_key(calendar.version),
        "canShare": not personal,
        "canViewPrivateItems": True,
        "canEdit": calendar.can_edit,
        "allowedOnlineMeetingProviders": providers,
        "defaultOnlineMeetingProvider": providers[0] if providers else "unknown",
        "isTallyingResponses": calendar.default,
        "isRemovable": not calendar.default,
        "owner": {"name": name, "address": address},
    }


def change_key(version: int) -> str:
    return f"VqJ0JRCJpUGh{version:08x}AAA="


def etag(event: Event) -> str:
    return f'W/"{change_key(event.version)}"'


def wanted_zone() -> str:
    """The zone that `Prefer: outlook.timezone` asks for; UTC otherwise. Raises GraphError 400."""
    name = prefer("outlook.timezone") or "UTC"
    try:
        zone(name)
    except UnknownZone as unknown:
        raise bad_request(
            f"The TimeZone value '{name}' is not supported.", "TimeZoneNotSupportedException"
        ) from unknown
    g.setdefault("applied", set()).add(f'outlook.timezone="{name}"')
    return name


def time_json(event: Event, wall: datetime, name: str) -> dict[str, str]:
    """A time in the zone asked for; an all-day event keeps its midnight in every zone."""
    shown = wall if event.all_day else to_wall(to_utc(wall, event.zone), name)
    return {"dateTime": f"{shown:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": name}


def event_json(item: Item, caller: Caller, zone_name: str) -> dict[str, Any]:
    """One entry of a view, whole."""
    event, person, immutable = item.event, caller.person, immutable_ids()
    box = caller.mailbox
    fields = event.fields
    place = {"displayName": "", "locationType": "default", "uniqueIdType": "unknown", "address": {}, "coordinates": {}}
    location = {**place, **(fields.get("location") or {})}
    body = fields.get("body") or {"contentType": "html", "content": ""}
    if prefer("outlook.body-content-type").lower() == "text":
        g.setdefault("applied", set()).add('outlook.body-content-type="text"')
        body = {"contentType": "text", "content": _preview(str(body.get("content", "")))}
    me = {"emailAddress": {"name": person.name, "address": person.address}}
    organizer = fields.get("organizer") or me
    mine = organizer["emailAddress"]["address"].lower() == person.address.lower()
    key = event.immutable_id if immutable else event.id
    occurrence = item.kind == "occurrence"
    if occurrence:
        key = occurrence_id(event, item.start, immutable)
    master = event if occurrence else box.events.get(event.master)
    master_id = (master.immutable_id if immutable else master.id) if master else None
    told: dict[str, Any] = {
        "@odata.etag": etag(event),
        "id": key,
        "createdDateTime": iso_fine(event.created),
        "lastModifiedDateTime": iso_fine(event.modified),
        "changeKey": change_key(event.version),
        "categories": fields.get("categories", []),
        "transactionId": event.transaction or None,
        "originalStartTimeZone": event.zone,
        "originalEndTimeZone": event.zone,
        "iCalUId": event.uid,
        "reminderMinutesBeforeStart": fields.get("reminderMinutesBeforeStart", 15),
        "isReminderOn": fields.get("isReminderOn", True),
        "hasAttachments": False,
        "subject": fields.get("subject", ""),
        "bodyPreview": _preview(body.get("content", "")),
        "importance": fields.get("importance", "normal"),
        "sensitivity": fields.get("sensitivity", "normal"),
        "isAllDay": event.all_day,
        "isCancelled": bool(fields.get("isCancelled", False)),
        "isOrganizer": mine,
        "responseRequested": fields.get("responseRequested", True),
        "seriesMasterId": master_id if item.kind in {"occurrence", "exception"} else None,
        "showAs": fields.get("showAs", "busy"),
        "type": item.kind,
        "webLink": f"https://outlook.office365.com/owa/?itemid={key}&exvsurl=1&path=/calendar/item",
        "onlineMeetingUrl": None,
        "isOnlineMeeting": bool(fields.get("isOnlineMeeting", False)),
        "onlineMeetingProvider": "teamsForBusiness" if fields.get("isOnlineMeeting") else "unknown",
        "allowNewTimeProposals": fields.get("allowNewTimeProposals", True),
        "isDraft": False,
        "hideAttendees": bool(fields.get("hideAttendees", False)),
        "responseStatus": {"response": "organizer" if mine else "notResponded", "time": "0001-01-01T00:00:00Z"},
        "body": body,
        "start": time_json(event, item.start, zone_name),
        "end": time_json(event, item.end, zone_name),
        "location": location,
        "locations": fields.get("locations") or ([location] if location["displayName"] else []),
        "recurrence": event.recurrence if item.kind == "seriesMaster" else None,
        "attendees": [_attendee(attendee) for attendee in fields.get("attendees") or []],
        "organizer": organizer,
        "onlineMeeting": None,
    }
    if not event.transaction:
        del told["transactionId"]
    if item.kind in {"occurrence", "exception"}:
        planned = item.start if occurrence else event.original or item.start
        told["originalStart"] = iso(planned.replace(tzinfo=UTC) if event.all_day else to_utc(planned, event.zone))
    return told


def whole(event: Event) -> Item:
    """An event by itself, outside any view."""
    kind = "seriesMaster" if event.recurrence else "exception" if event.master else "singleInstance"
    return Item(event.id, kind, event, event.start, event.end, event.version)


def _preview(content: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", content).split())[:255]


def _attendee(attendee: dict[str, Any]) -> dict[str, Any]:
    status = attendee.get("status") or {"response": "none", "time": "0001-01-01T00:00:00Z"}
    return {
        "type": attendee.get("type", "required"),
        "status": status,
        "emailAddress": attendee.get("emailAddress", {}),
    }

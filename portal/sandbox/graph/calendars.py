"""Calendars and views of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request

from ..context import storage
from ..mailbox import add_calendar, remove_calendar
from ..records.mailbox import Calendar, Mailbox
from .caller import READ, READ_BASIC, WRITE, Caller, mailbox_of
from .errors import GraphError, bad_request, not_found
from .odata import collection, reply, select
from .recur import lay_out
from .shape import calendar_json, context, event_json, wanted_zone

blueprint = Blueprint("calendars", __name__)


def find_calendar(box: Mailbox, key: str | None) -> Calendar:
    """By id; None is the default calendar. Raises GraphError 404."""
    if key is None:
        return box.default()
    if key not in box.calendars:
        raise not_found()
    return box.calendars[key]


def body() -> dict[str, Any]:
    """The JSON object of a request. Raises GraphError 400."""
    told = request.get_json(silent=True, force=True)
    if not isinstance(told, dict):
        raise bad_request("Unable to read JSON request payload.", "BadRequest")
    return told


@blueprint.get("/v1.0/me/calendars")
def list_calendars() -> Response:
    """https://learn.microsoft.com/graph/api/user-list-calendars. Leaves out calendar groups."""
    caller = mailbox_of(*READ_BASIC)
    rows = [calendar_json(calendar, caller.person) for calendar in caller.mailbox.calendars.values()]
    return collection(context(f"users('{caller.person.oid}')/calendars"), rows)


@blueprint.post("/v1.0/me/calendars")
def create_calendar() -> Response:
    """https://learn.microsoft.com/graph/api/user-post-calendars"""
    caller, told = mailbox_of(*WRITE), body()
    name = str(told.get("name") or "").strip()
    if not name:
        raise bad_request("The calendar needs a name.")
    if name.lower() in {calendar.name.lower() for calendar in caller.mailbox.calendars.values()}:
        raise GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
    calendar = add_calendar(storage(), caller.person.oid, name, color=str(told.get("color") or "auto"))
    return reply(_entity(caller, calendar), 201)


def _entity(caller: Caller, calendar: Calendar) -> dict[str, Any]:
    at = context(f"users('{caller.person.oid}')/calendars/$entity")
    return {"@odata.context": at, **calendar_json(calendar, caller.person)}


@blueprint.get("/v1.0/me/calendar", defaults={"key": None})
@blueprint.get("/v1.0/me/calendars/<key>")
def get_calendar(key: str | None) -> Response:
    """https://learn.microsoft.com/graph/api/calendar-get"""
    caller = mailbox_of(*READ_BASIC)
    return reply(select(_entity(caller, find_calendar(caller.mailbox, key))))


@blueprint.patch("/v1.0/me/calendars/<key>")
def change_calendar(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/calendar-update. Changes the name and the colour only."""
    caller, told = mailbox_of(*WRITE), body()
    calendar = find_calendar(caller.mailbox, key)
    with storage().lock:
        calendar.name = str(told.get("name") or calendar.name)
        calendar.color = str(told.get("color") or calendar.color)
        calendar.version = caller.mailbox.tick()
    return reply(_entity(caller, calendar))


@blueprint.delete("/v1.0/me/calendars/<key>")
def delete_calendar(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/calendar-delete"""
    caller = mailbox_of(*WRITE)
    if find_calendar(caller.mailbox, key).default:
        raise bad_request("The default calendar cannot be deleted.", "ErrorDeleteDistinguishedFolder")
    remove_calendar(storage(), caller.person.oid, key)
    return Response(status=204)


def window() -> tuple[datetime, datetime]:
    """`startDateTime` and `endDateTime` as instants; without an offset they count as UTC. Raises GraphError 400."""
    given = {name.lower(): value for name, value in request.args.items()}
    found = []
    for name in ("startdatetime", "enddatetime"):
        text = given.get(name, "")
        if not text:
            raise bad_request(
                "This request requires a time window specified by the query string parameters StartDateTime and "
                "EndDateTime."
            )
        try:
            # An unescaped + of an offset arrives as a blank.
            moment = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError as bad:
            raise bad_request(f"The value '{text}' for parameter '{name}' is not a date and time.") from bad
        found.append(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    start, end = found
    if end < start or end - start > timedelta(days=1825):
        raise bad_request(
            "The EndDate is either before the start date or exceeds the limit.", "ErrorCalendarRangeInvalid"
        )
    return start, end


@blueprint.get("/v1.0/me/calendarView", defaults={"key": None})
@blueprint.get("/v1.0/me/calendar/calendarView", defaults={"key": None})
@blueprint.get("/v1.0/me/calendars/<key>/calendarView")
def calendar_view(key: str | None) -> Response:
    """https://learn.microsoft.com/graph/api/user-list-calendarview: occurrences laid out, series masters left out."""
    caller = mailbox_of(*READ)
    calendar = find_calendar(caller.mailbox, key)
    start, end = window()
    name = wanted_zone()
    with storage().lock:
        rows = [event_json(item, caller, name) for item in lay_out(caller.mailbox, calendar.id, start, end)]
    return collection(context(f"users('{caller.person.oid}')/calendarView"), rows)

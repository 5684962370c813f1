"""Reading an event that a client sends, strictly enough to refuse what Exchange would refuse."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from ..mailbox import add_event
from ..records.mailbox import Event
from ..storage import Storage
from .errors import bad_request
from .recur import dates
from .zones import UnknownZone, zone

# What the sandbox only carries, with the JSON type each must have.
CARRIED: dict[str, type | tuple[type, ...]] = {
    "subject": str,
    "body": dict,
    "location": dict,
    "locations": list,
    "attendees": list,
    "sensitivity": str,
    "showAs": str,
    "importance": str,
    "categories": list,
    "isReminderOn": bool,
    "reminderMinutesBeforeStart": int,
    "responseRequested": bool,
    "allowNewTimeProposals": bool,
    "isOnlineMeeting": bool,
    "hideAttendees": bool,
}
WORDS = {
    "sensitivity": {"normal", "personal", "private", "confidential"},
    "showAs": {"free", "tentative", "busy", "oof", "workingElsewhere", "unknown"},
    "importance": {"low", "normal", "high"},
}


@dataclass(slots=True)
class Draft:
    """A checked request body; None and empty mean: not mentioned."""

    start: datetime | None = None
    end: datetime | None = None
    zone: str = ""
    all_day: bool | None = None
    recurrence: dict[str, Any] | None = None
    transaction: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, dict[str, Any]] = field(default_factory=dict)


def draft(told: dict[str, Any], old: Event | None = None) -> Draft:
    """Check a body; `old` is the event it would change. Raises GraphError 400."""
    wanted = Draft(fields=_carried(told), transaction=str(told.get("transactionId") or ""))
    if old and wanted.transaction and wanted.transaction != old.transaction:
        raise bad_request("transactionId cannot be changed.", "ErrorInvalidPropertySet")
    wanted.all_day = told["isAllDay"] if isinstance(told.get("isAllDay"), bool) else None
    if "start" in told or "end" in told or not old:
        wanted.start, wanted.zone = _moment(told.get("start"), "start", old)
        wanted.end, _ = _moment(told.get("end"), "end", old)
        if wanted.end < wanted.start:
            raise bad_request("The meeting end time is before its start time.", "ErrorPropertyValidationFailure")
    whole_day = wanted.all_day if wanted.all_day is not None else bool(old and old.all_day)
    start, end = wanted.start or (old.start if old else None), wanted.end or (old.end if old else None)
    if whole_day and start and end and (start.time() != time() or end.time() != time() or end - start < timedelta(1)):
        raise bad_request("The Event.Start and Event.End of an all-day event must be midnight, a day or more apart.",
                          "ErrorInvalidRequest")  # fmt: skip
    if told.get("recurrence") is not None:
        wanted.recurrence = _recurrence(told["recurrence"], start.date() if start else date.min)
    for each in _objects(told, "singleValueExtendedProperties"):
        wanted.properties[str(each.get("id"))] = str(each.get("value"))
    for each in _objects(told, "extensions"):
        name = str(each.get("extensionName") or "")
        wanted.extensions[name] = {
            "@odata.type": "#microsoft.graph.openTypeExtension",
            "id": f"Microsoft.OutlookServices.OpenTypeExtension.{name}",
            **{key: value for key, value in each.items() if not key.startswith("@")},
        }
    return wanted


def _objects(told: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects; nothing where it is absent. Raises GraphError 400."""
    found = told.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise bad_request(f"Cannot convert the value of '{name}' to the expected type.", "RequestBodyRead")
    return found


def _recurrence(told: Any, start: date) -> dict[str, Any]:
    """A pattern that can be laid out, with its range. Raises GraphError 400."""
    if (
        not isinstance(told, dict)
        or not isinstance(told.get("pattern"), dict)
        or not isinstance(told.get("range"), dict)
    ):
        raise bad_request("A recurrence needs a pattern and a range.", "ErrorInvalidRecurrence")
    try:
        next(dates(told, start))
    except (StopIteration, ValueError, TypeError, KeyError, IndexError, OverflowError) as bad:
        raise bad_request("The recurrence has no occurrence, or cannot be read.", "ErrorInvalidRecurrence") from bad
    return told


def _carried(told: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, kind in CARRIED.items():
        if name not in told or told[name] is None:
            continue
        if kind is bool and str(told[name]).lower() in {"true", "false"}:
            # Exchange takes a flag written as text, and clients rely on it.
            found[name] = str(told[name]).lower() == "true"
            continue
        if not isinstance(told[name], kind) or told[name] not in (WORDS.get(name) or [told[name]]):
            raise bad_request(f"Cannot convert the value of '{name}' to the expected type.", "RequestBodyRead")
        found[name] = told[name]
    for name in ("attendees", "locations"):
        _objects(found, name)
    for attendee in found.get("attendees", []):
        if not isinstance(attendee.get("emailAddress"), dict):
            raise bad_request("Every attendee needs an emailAddress.", "ErrorInvalidRequest")
    return found


def _moment(told: Any, name: str, old: Event | None) -> tuple[datetime, str]:
    if told is None and old:
        return (old.start if name == "start" else old.end), old.zone
    if not isinstance(told, dict) or not isinstance(told.get("dateTime"), str):
        raise bad_request(f"Required property '{name}' is missing or malformed.", "ErrorInvalidRequest")
    zone_name = str(told.get("timeZone") or "UTC")
    try:
        zone(zone_name)
    except UnknownZone as unknown:
        message = (
            f"A valid TimeZone value must be specified. The following TimeZone value is not supported: '{zone_name}'."
        )
        raise bad_request(message, "TimeZoneNotSupportedException") from unknown
    try:
        moment = datetime.fromisoformat(told["dateTime"])
    except ValueError as bad:
        raise bad_request(f"The value of '{name}' is not a date and time.", "ErrorInvalidRequest") from bad
    if moment.tzinfo:
        # An offset in dateTime is taken at its word, then told in the zone named beside it.
        moment = moment.astimezone(zone(zone_name)).replace(tzinfo=None)
    return moment.replace(microsecond=0), zone_name


def apply(event: Event, wanted: Draft) -> None:
    """Write a checked body into an event."""
    event.fields.update(wanted.fields)
    if wanted.start and wanted.end:
        event.start, event.end, event.zone = wanted.start, wanted.end, wanted.zone or event.zone
    if wanted.all_day is not None:
        event.all_day = wanted.all_day
    event.recurrence = wanted.recurrence or event.recurrence
    event.properties.update(wanted.properties)
    event.extensions.update(wanted.extensions)


def from_draft(storage: Storage, oid: str, calendar: str, wanted: Draft) -> Event:
    """Make the event that a checked body asks for."""
    assert wanted.start is not None and wanted.end is not None
    return add_event(
        storage, oid, calendar, wanted.start, wanted.end, wanted.zone, fields=wanted.fields,
        all_day=bool(wanted.all_day), recurrence=wanted.recurrence, transaction=wanted.transaction,
        properties=wanted.properties, extensions=wanted.extensions,
    )  # fmt: skip

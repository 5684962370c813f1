"""Meetings of ours in a calendar at Microsoft: written once, marked as ours, removed only where nobody is mailed.

https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from portal.providers.base import NewEvent
from portal.providers.outlook import shape
from portal.providers.outlook.caller import Caller
from portal.providers.outlook.http import Json, read_object

MARK = "String {6f1d7e0a-3b52-4c0e-9f0e-5a9c1c0d7e42} Name CoordinoterId"
"""The extended property that carries our mark: a namespace of our own, and a name.

https://learn.microsoft.com/graph/api/resources/singlevaluelegacyextendedproperty
"""


def write(caller: Caller, access_token: str, calendar_id: str, event: NewEvent) -> str:
    """Create an event; `transactionId` keeps a repeated call from making a twin.

    https://learn.microsoft.com/graph/api/calendar-post-events
    """
    body: Json = {
        "subject": event.title,
        "location": {"displayName": event.place},
        "start": _time(event.starts_at),
        "end": _time(event.ends_at),
        "transactionId": event.transaction_id,
        "singleValueExtendedProperties": [{"id": MARK, "value": event.mark}],
    }
    path = f"/v1.0/me/calendars/{quote(calendar_id, safe='')}/events"
    return shape.identifier(read_object(caller.call(access_token, "POST", path, "write event", body)), "id")


def find(caller: Caller, access_token: str, calendar_id: str, mark: str) -> str | None:
    """The event of a calendar that carries our mark.

    https://learn.microsoft.com/graph/api/singlevaluelegacyextendedproperty-get. `/me/events` alone does not do: whether
    it lists more than the default calendar is told differently in different places.
    """
    path = f"/v1.0/me/calendars/{quote(calendar_id, safe='')}/events" if calendar_id else "/v1.0/me/events"
    quoted = mark.replace("'", "''")
    wanted = f"singleValueExtendedProperties/Any(ep: ep/id eq '{MARK}' and ep/value eq '{quoted}')"
    query = urlencode({"$filter": wanted, "$select": "id", "$top": "1"}, quote_via=quote, safe="$")
    found = shape.items(caller.get(access_token, f"{path}?{query}", "find event"))
    return shape.identifier(found[0], "id") if found else None


def remove(caller: Caller, access_token: str, event_id: str) -> str | None:
    """Delete an event unless it has attendees, whom Microsoft would mail cancellations.

    https://learn.microsoft.com/graph/api/event-delete. The version that was looked at is the one that is deleted
    (If-Match): somebody invited in between makes Graph refuse.
    """
    path = f"/v1.0/me/events/{quote(event_id, safe='')}"
    found = caller.get(access_token, f"{path}?$select=id,attendees", "look at event")
    shape.identifier(found, "id")  # an answer about something else is no leave to delete
    if found.get("attendees"):
        return None
    etag = found.get("@odata.etag")
    return caller.delete(access_token, path, "remove event", {"If-Match": etag} if isinstance(etag, str) else {})


def _time(moment: datetime) -> Json:
    return {"dateTime": moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"), "timeZone": "UTC"}

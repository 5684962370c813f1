"""Microsoft's JSON into our value types, and nothing else.

Whatever arrives is translated or refused with Unreachable ("an answer that makes no sense"). A private event's subject
ends here. https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from portal.providers.base import Calendar, Changes, Event, Notification, Rejected, Subscription, Unreachable
from portal.providers.outlook.http import parse_object
from portal.providers.outlook.times import day, instant, moment

Item = Mapping[str, Any]

SHOW_AS = {"free", "tentative", "busy", "oof", "workingElsewhere"}
LIFECYCLE = {"missed", "subscriptionRemoved", "reauthorizationRequired"}
OPEN = {"normal", "personal"}
_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def items(page: Item) -> list[Item]:
    """The `value` of a collection: objects only."""
    found = page.get("value")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _senseless()
    return found


def link(page: Item, name: str) -> str | None:
    """A link of a page, as it is: it is opaque and used verbatim."""
    found = page.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not found:
        raise _senseless()
    return found


def person(found: Item) -> tuple[str, str]:
    """Address and name of a user. https://learn.microsoft.com/graph/api/resources/user"""
    return text(found.get("mail")) or text(found.get("userPrincipalName")), text(found.get("displayName"))


def calendar(found: Item) -> Calendar:
    """A calendar. https://learn.microsoft.com/graph/api/resources/calendar"""
    return Calendar(
        id=identifier(found, "id"),
        name=text(found.get("name")),
        is_default=found.get("isDefaultCalendar") is True,
        can_edit=found.get("canEdit") is True,
    )


def changes(page: Item) -> Changes:
    """A page of changes. An item may repeat within a page; its last state counts.

    Removed are those marked so, cancelled ones, and series masters: an event that becomes a series keeps its id as the
    master's, and its occurrences come under ids of their own.
    """
    following, delta = link(page, "@odata.nextLink"), link(page, "@odata.deltaLink")
    if (following is None) == (delta is None):
        raise _senseless()
    states: dict[str, Event | None] = {}
    for item in items(page):
        key = identifier(item, "id")
        states.pop(key, None)
        states[key] = None if _is_removed(item) else event(item)
    return Changes(
        events=tuple(state for state in states.values() if state is not None),
        removed=tuple(key for key, state in states.items() if state is None),
        next_link=following,
        delta_link=delta,
    )


def _is_removed(item: Item) -> bool:
    return "@removed" in item or item.get("isCancelled") is True or item.get("type") == "seriesMaster"


def event(item: Item) -> Event:
    """One event. What is neither normal nor personal counts as private: better too quiet than too loud."""
    sensitivity, is_all_day = item.get("sensitivity"), item.get("isAllDay") is True
    is_private = sensitivity is not None and sensitivity not in OPEN
    read = day if is_all_day else moment
    starts_at, ends_at = read(item.get("start")), read(item.get("end"))
    if ends_at < starts_at:
        raise _senseless()
    shown = item.get("showAs")
    return Event(
        id=identifier(item, "id"),
        subject="" if is_private else text(item.get("subject")),
        starts_at=starts_at,
        ends_at=ends_at,
        is_all_day=is_all_day,
        is_private=is_private,
        show_as=shown if isinstance(shown, str) and shown in SHOW_AS else "unknown",
    )


def subscription(found: Item) -> Subscription:
    """A webhook registration. https://learn.microsoft.com/graph/api/resources/subscription"""
    return Subscription(
        id=identifier(found, "id"),
        resource=text(found.get("resource")),
        notification_url=text(found.get("notificationUrl")),
        expires_at=instant(found.get("expirationDateTime")),
    )


def notifications(body: bytes) -> tuple[Notification, ...]:
    """A webhook delivery, changes and lifecycle events alike. A lifecycle event we do not know counts as `missed`.

    https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
    https://learn.microsoft.com/graph/change-notifications-lifecycle-events
    """
    envelope = parse_object(body)
    found = envelope.get("value") if envelope is not None else None
    if not isinstance(found, list):
        raise Rejected("This is not a change notification.")
    return tuple(_notification(item) for item in found)


def _notification(item: Any) -> Notification:
    key = item.get("subscriptionId") if isinstance(item, dict) else None
    if not isinstance(key, str) or not key or _UNSTORABLE.search(key):
        raise Rejected("This is not a change notification.")
    lifecycle = text(item.get("lifecycleEvent"))
    return Notification(
        subscription_id=key,
        client_state=text(item.get("clientState")),
        lifecycle=lifecycle if lifecycle in LIFECYCLE or not lifecycle else "missed",
    )


def identifier(item: Item, name: str) -> str:
    """An id: a text that can be stored as it is."""
    found = item.get(name)
    if not isinstance(found, str) or not found or _UNSTORABLE.search(found):
        raise _senseless()
    return found


def text(value: object) -> str:
    """A text without what no database can hold (NUL, other controls, halves of a surrogate pair)."""
    return _UNSTORABLE.sub("", value) if isinstance(value, str) else ""


def _senseless() -> Unreachable:
    return Unreachable("Microsoft's answer makes no sense.")

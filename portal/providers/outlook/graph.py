"""Every call we make to Microsoft Graph, one function each, under the page that describes it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from portal.providers.base import Calendar, Changes, Gone, Rejected, Subscription, Unreachable
from portal.providers.outlook import notices, shape, translate
from portal.providers.outlook.caller import Caller
from portal.providers.outlook.http import read_object

MOST_PAGES = 200
MOST_CALLS_LONG = 4
"""A list is given up when it has taken as long as so many calls may: a disconnection waits for it, deadline or not."""

CHANGE_TYPES = "created,updated,deleted"
RESOURCE = "me/events"


def me(caller: Caller, access_token: str) -> tuple[str, str]:
    """Address and name of the signed-in person. https://learn.microsoft.com/graph/api/user-get"""
    return translate.person(caller.get(access_token, "/v1.0/me", "me"))


def default_calendar(caller: Caller, access_token: str) -> Calendar:
    """The default calendar: shows whether there is a mailbox. https://learn.microsoft.com/graph/api/calendar-get"""
    return translate.calendar(caller.get(access_token, "/v1.0/me/calendar", "default calendar"))


def calendars(caller: Caller, access_token: str) -> tuple[Calendar, ...]:
    """All calendars. https://learn.microsoft.com/graph/api/user-list-calendars"""
    return tuple(translate.calendar(item) for item in _pages(caller, access_token, "/v1.0/me/calendars", "calendars"))


def first_changes(caller: Caller, access_token: str, calendar_id: str, starts: datetime, ends: datetime) -> Changes:
    """Start a round of changes over a window. https://learn.microsoft.com/graph/api/event-delta

    `$select` is not supported here: full events arrive, and translate.py keeps only what we may keep.
    """
    window = urlencode({"startDateTime": _utc(starts), "endDateTime": _utc(ends)})
    path = f"/v1.0/me/calendars/{_segment(calendar_id)}/calendarView/delta?{window}"
    return _changes(caller, access_token, caller.get(access_token, path, "first changes", changes=True))


def next_changes(caller: Caller, access_token: str, link: str) -> Changes:
    """Follow a nextLink or deltaLink as it is. https://learn.microsoft.com/graph/delta-query-events"""
    return _changes(caller, access_token, caller.get(access_token, link, "next changes", changes=True))


def series(caller: Caller, access_token: str, event_id: str) -> Mapping[str, Any]:
    """What a series lends to its occurrences. https://learn.microsoft.com/graph/api/event-get"""
    path = f"/v1.0/me/events/{_segment(event_id)}?$select={','.join(('id', *translate.INHERITED))}"
    return caller.get(access_token, path, "series")


def subscribe(caller: Caller, access_token: str, url: str, client_state: str, expires_at: datetime) -> Subscription:
    """Ask for change notifications. https://learn.microsoft.com/graph/api/subscription-post-subscriptions

    Graph calls `url` before it answers; a second subscription alike is refused (409).
    """
    body = {
        "changeType": CHANGE_TYPES,
        "notificationUrl": url,
        "lifecycleNotificationUrl": url,
        "resource": RESOURCE,
        "expirationDateTime": _utc(expires_at),
        "clientState": client_state,
    }
    answer = caller.call(access_token, "POST", "/v1.0/subscriptions", "subscribe", body)
    return notices.subscription(read_object(answer))


def subscriptions(caller: Caller, access_token: str) -> Iterator[Subscription]:
    """Our subscriptions for this account. https://learn.microsoft.com/graph/api/subscription-list"""
    for item in _pages(caller, access_token, "/v1.0/subscriptions", "subscriptions"):
        yield notices.subscription(item)


def renew(caller: Caller, access_token: str, subscription_id: str, expires_at: datetime) -> Subscription:
    """Move a subscription's end. https://learn.microsoft.com/graph/api/subscription-update"""
    path = f"/v1.0/subscriptions/{_segment(subscription_id)}"
    answer = caller.call(access_token, "PATCH", path, "renew", {"expirationDateTime": _utc(expires_at)})
    return notices.subscription(read_object(answer))


def unsubscribe(caller: Caller, access_token: str, subscription_id: str) -> str:
    """Delete a subscription; returns Graph's request id. https://learn.microsoft.com/graph/api/subscription-delete"""
    path = f"/v1.0/subscriptions/{_segment(subscription_id)}"
    return caller.delete(access_token, path, "unsubscribe")


def own_principal(caller: Caller, access_token: str, client_id: str) -> Mapping[str, Any]:
    """How a directory knows our application. https://learn.microsoft.com/graph/api/serviceprincipal-get

    An application may read this about itself without any permission.
    """
    path = f"/v1.0/servicePrincipals(appId='{_segment(client_id)}')?$select=id"
    return caller.get(access_token, path, "own principal")


def grants(caller: Caller, access_token: str, wanted: str) -> Iterator[Mapping[str, Any]]:
    """Consents, by an OData filter. https://learn.microsoft.com/graph/api/oauth2permissiongrant-list"""
    query = urlencode({"$filter": wanted}, quote_via=quote)
    yield from _pages(caller, access_token, f"/v1.0/oauth2PermissionGrants?{query}", "grants")


def delete_grant(caller: Caller, access_token: str, grant_id: str) -> str:
    """Withdraw a consent; returns Graph's request id.

    https://learn.microsoft.com/graph/api/oauth2permissiongrant-delete
    """
    path = f"/v1.0/oauth2PermissionGrants/{_segment(grant_id)}"
    return caller.delete(access_token, path, "delete grant")


def _changes(caller: Caller, access_token: str, page: Mapping[str, Any]) -> Changes:
    """Translate a page, after asking for each series that its bare occurrences lean on.

    A series that cannot be had (deleted meanwhile, or in a calendar of somebody else's) leaves them without a subject.
    """
    masters: dict[str, Mapping[str, Any]] = {}
    for event_id in translate.missing_masters(page):
        with contextlib.suppress(Gone, Rejected):
            masters[event_id] = series(caller, access_token, event_id)
    return translate.changes(page, masters)


def _pages(caller: Caller, access_token: str, address: str, name: str) -> Iterator[Mapping[str, Any]]:
    """The items of a collection, page by page. https://learn.microsoft.com/graph/paging"""
    seen, until = set[str](), time.monotonic() + MOST_CALLS_LONG * caller.patience
    while address not in seen and len(seen) < MOST_PAGES and time.monotonic() < until:
        seen.add(address)
        page = caller.get(access_token, address, name)
        yield from shape.items(page)
        following = shape.link(page, "@odata.nextLink")
        if following is None:
            return
        address = following
    raise Unreachable("Microsoft's list does not end.")


def _segment(identifier: str) -> str:
    """An id as one segment of a path; one that would climb out of it is refused."""
    if identifier.strip(".") == "":
        raise Rejected("This is not an id.")
    return quote(identifier, safe="")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

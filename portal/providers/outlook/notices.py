"""Subscriptions and what they deliver, translated.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

from __future__ import annotations

from typing import Any

from portal.providers.base import Notification, Rejected, Subscription
from portal.providers.outlook.http import parse_object
from portal.providers.outlook.shape import Item, identifier, storable, text
from portal.providers.outlook.times import instant

LIFECYCLE = {"missed", "subscriptionRemoved", "reauthorizationRequired"}


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

    https://learn.microsoft.com/graph/change-notifications-lifecycle-events
    """
    envelope = parse_object(body)
    found = envelope.get("value") if envelope is not None else None
    if not isinstance(found, list):
        raise Rejected("This is not a change notification.")
    return tuple(_notification(item) for item in found)


def _notification(item: Any) -> Notification:
    key = item.get("subscriptionId") if isinstance(item, dict) else None
    if not isinstance(key, str) or not storable(key):
        raise Rejected("This is not a change notification.")
    lifecycle = text(item.get("lifecycleEvent"))
    return Notification(
        subscription_id=key,
        client_state=text(item.get("clientState")),
        lifecycle=lifecycle if lifecycle in LIFECYCLE or not lifecycle else "missed",
    )

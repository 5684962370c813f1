"""Webhook registrations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app

from ..config import LOOPBACK_HOSTS
from ..context import now, storage
from ..ids import new_id
from ..records.mailbox import Subscription
from .calendars import body
from .caller import READ_BASIC, Caller, immutable_ids, person_with
from .courier import Courier, HandshakeFailed
from .errors import GraphError, bad_request, not_found
from .odata import reply
from .shape import context, iso_fine

blueprint = Blueprint("subscriptions", __name__)
LONGEST = timedelta(minutes=10_080)
SHORTEST = timedelta(minutes=45)
CHANGES = frozenset({"created", "updated", "deleted"})


def courier() -> Courier:
    held: Courier = current_app.extensions["sandbox"]["courier"]
    return held


def subscription_json(held: Subscription) -> dict[str, Any]:
    return {
        "id": held.id,
        "resource": held.resource,
        "applicationId": held.client,
        "changeType": ",".join(sorted(held.changes)),
        "clientState": held.state,
        "notificationUrl": held.url,
        "notificationQueryOptions": None,
        "lifecycleNotificationUrl": held.lifecycle_url or None,
        "expirationDateTime": iso_fine(held.expires),
        "creatorId": held.oid,
        "includeResourceData": None,
        "latestSupportedTlsVersion": "v1_2",
        "encryptionCertificate": None,
        "encryptionCertificateId": None,
        "notificationUrlAppId": None,
    }


@blueprint.post("/v1.0/subscriptions")
def create() -> Response:
    """https://learn.microsoft.com/graph/api/subscription-post-subscriptions

    Takes the events of the caller's whole mailbox. Differs from Microsoft in accepting plain http for loopback
    addresses. Leaves out rich notifications (`includeResourceData`), Event Hubs and every other resource.
    """
    caller, told = person_with(*READ_BASIC, code="ExtensionError"), body()
    resource, changes = _resource(caller, told.get("resource")), _changes(told.get("changeType"))
    url, lifecycle = _url(told, "notificationUrl"), ""
    if told.get("lifecycleNotificationUrl"):
        lifecycle = _url(told, "lifecycleNotificationUrl")
    state = told.get("clientState")
    if state is not None and (not isinstance(state, str) or len(state) > 128):
        raise bad_request("The clientState must be a text of at most 128 characters.", "InvalidRequest")
    if told.get("includeResourceData"):
        raise bad_request("This sandbox sends no resource data.", "InvalidRequest")
    expires = _expiry(told.get("expirationDateTime"))
    _check_twin(caller, resource, changes)
    for target in filter(None, {url, lifecycle}):
        try:
            courier().handshake(target)
        except HandshakeFailed as failed:
            raise bad_request(f"Subscription validation request failed. {failed}", "ValidationError") from failed
    with storage().lock:
        _check_twin(caller, resource, changes)
        made = Subscription(
            new_id(), caller.token.client, caller.person.oid, resource, changes, url, lifecycle, state, expires,
            caller.token.expires, immutable_ids(),
        )  # fmt: skip
        storage().subscriptions[made.id] = made
    courier().watch()
    return reply({"@odata.context": context("subscriptions/$entity"), **subscription_json(made)}, 201)


def _resource(caller: Caller, told: object) -> str:
    path = str(told or "").strip("/")
    me = {"me/events", *(f"users/{name}/events".lower() for name in (caller.person.oid, caller.person.address))}
    if path.lower() not in me:
        raise bad_request(f"Resource '{path}' is not supported here: use me/events.", "InvalidRequest")
    return path


def _changes(told: object) -> frozenset[str]:
    changes = frozenset(part.strip() for part in str(told or "").split(","))
    if not changes <= CHANGES:
        raise bad_request("changeType must name created, updated or deleted.", "InvalidRequest")
    return changes


def _url(told: dict[str, Any], name: str) -> str:
    url = str(told.get(name) or "")
    parts = urlsplit(url)
    if not parts.hostname or (
        parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    ):
        raise bad_request(f"{name} must be an https address.", "InvalidRequest")
    return url


def _expiry(told: object) -> datetime:
    """Seven days at most; less than 45 minutes counts as 45."""
    try:
        wanted = datetime.fromisoformat(str(told or ""))
    except ValueError as bad:
        raise bad_request("expirationDateTime is missing or malformed.", "InvalidRequest") from bad
    wanted = wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC)
    if wanted <= now():
        raise bad_request("Subscription expiration can not be in the past.", "InvalidRequest")
    if wanted - now() > LONGEST:
        raise bad_request("Subscription expiration can only be 10080 minutes in the future.", "ExtensionError")
    return max(wanted, now() + SHORTEST)


def _check_twin(caller: Caller, resource: str, changes: frozenset[str]) -> None:
    for held in living(caller):
        if held.resource.lower() == resource.lower() and held.changes == changes:
            raise GraphError(409, "InvalidRequest", "A subscription for this resource and changeType exists already.")


def living(caller: Caller) -> list[Subscription]:
    """The caller's subscriptions made by this application, without expired ones."""
    with storage().lock:
        storage().drop_expired_subscriptions()
        who = (caller.token.client, caller.person.oid)
        return [held for held in storage().subscriptions.values() if (held.client, held.oid) == who]


def find(caller: Caller, key: str) -> Subscription:
    for held in living(caller):
        if held.id == key:
            return held
    raise not_found("ResourceNotFound")


@blueprint.get("/v1.0/subscriptions")
def list_all() -> Response:
    """https://learn.microsoft.com/graph/api/subscription-list. Takes no query options, as there."""
    caller = person_with(*READ_BASIC, code="ExtensionError")
    rows = [subscription_json(held) for held in living(caller)]
    return reply({"@odata.context": context("subscriptions"), "value": rows})


@blueprint.get("/v1.0/subscriptions/<key>")
def get(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/subscription-get"""
    held = find(person_with(*READ_BASIC, code="ExtensionError"), key)
    return reply({"@odata.context": context("subscriptions/$entity"), **subscription_json(held)})


@blueprint.patch("/v1.0/subscriptions/<key>")
def renew(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/subscription-update: a renewal also authorizes afresh."""
    caller, told = person_with(*READ_BASIC, code="ExtensionError"), body()
    held = find(caller, key)
    if set(told) - {"expirationDateTime", "notificationUrl"}:
        raise bad_request("Only expirationDateTime and notificationUrl can be changed.", "InvalidRequest")
    if told.get("notificationUrl"):
        url = _url(told, "notificationUrl")
        try:
            courier().handshake(url)
        except HandshakeFailed as failed:
            raise bad_request(f"Subscription validation request failed. {failed}", "ValidationError") from failed
        held.url = url
    with storage().lock:
        held.expires = _expiry(told["expirationDateTime"]) if "expirationDateTime" in told else held.expires
        _authorize(caller, held)
    return reply({"@odata.context": context("subscriptions/$entity"), **subscription_json(held)})


@blueprint.post("/v1.0/subscriptions/<key>/reauthorize")
def reauthorize(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/subscription-reauthorize"""
    caller = person_with(*READ_BASIC, code="ExtensionError")
    _authorize(caller, find(caller, key))
    return Response(status=204)


def _authorize(caller: Caller, held: Subscription) -> None:
    held.access_until, held.warned = max(held.access_until, caller.token.expires), False
    courier().look_again()


@blueprint.delete("/v1.0/subscriptions/<key>")
def delete(key: str) -> Response:
    """https://learn.microsoft.com/graph/api/subscription-delete"""
    held = find(person_with(*READ_BASIC, code="ExtensionError"), key)
    with storage().lock:
        storage().subscriptions.pop(held.id, None)
    return Response(status=204)

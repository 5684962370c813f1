"""Calendars, events, subscriptions and deliveries, over HTTP. The README lists the addresses."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, jsonify, request

from ..context import storage
from . import mailbox_actions, report
from .actions import Refused, person
from .api import blueprint, courier, told


@blueprint.get("/accounts/<address>/events")
def events(address: str) -> Response:
    """Everything stored, series masters once; `subject` narrows it down."""
    box, wanted = storage().mailbox(person(storage(), address).oid), request.args.get("subject")
    rows = [
        {
            "id": event.id,
            "immutable_id": event.immutable_id,
            "calendar": event.calendar,
            "subject": event.fields.get("subject", ""),
            "start": event.start.isoformat(),
            "end": event.end.isoformat(),
            "zone": event.zone,
            "series": event.recurrence is not None,
            "exception_of": event.master or None,
            "properties": event.properties,
            "transaction_id": event.transaction or None,
            "attendees": len(event.fields.get("attendees") or []),
        }
        for event in list(box.events.values())
        if wanted in {None, event.fields.get("subject")}
    ]
    return jsonify(rows)


@blueprint.post("/accounts/<address>/events")
def add_events(address: str) -> tuple[Response, int]:
    """`count` single events, or `events` as Graph would be sent them, in `calendar` (id or name; else the default)."""
    body, who = told(), person(storage(), address)
    where = str(body.get("calendar") or "")
    if isinstance(body.get("events"), list):
        made = mailbox_actions.add_exactly(storage(), who, body["events"], where)
    else:
        made = mailbox_actions.add_events(storage(), who, int(body.get("count", 1)), where)
    return jsonify(ids=[event.id for event in made]), 201


@blueprint.post("/accounts/<address>/calendars")
def add_calendar(address: str) -> tuple[Response, int]:
    """`name`, and `can_edit` (true)."""
    body, who = told(), person(storage(), address)
    made = mailbox_actions.new_calendar(
        storage(), who, str(body.get("name") or ""), can_edit=bool(body.get("can_edit", True))
    )
    return jsonify(id=made.id, name=made.name), 201


@blueprint.delete("/accounts/<address>/calendars/<key>")
def drop_calendar(address: str, key: str) -> Response:
    mailbox_actions.drop_calendar(storage(), person(storage(), address), key)
    return jsonify(deleted=key)


@blueprint.patch("/accounts/<address>/events/<key>")
def alter_event(address: str, key: str) -> Response:
    """`subject`, `shift_minutes`, `calendar` (id)."""
    return jsonify(id=mailbox_actions.alter_event(storage(), person(storage(), address), key, told()).id)


@blueprint.delete("/accounts/<address>/events/<key>")
def drop_event(address: str, key: str) -> Response:
    mailbox_actions.drop_event(storage(), person(storage(), address), key)
    return jsonify(deleted=key)


@blueprint.get("/subscriptions")
def subscriptions() -> Response:
    storage().drop_expired_subscriptions()
    return jsonify([report.subscription(held) for held in storage().subscriptions.values()])


@blueprint.post("/subscriptions/<key>/lifecycle")
def lifecycle(key: str) -> Response:
    """`event`: `missed`, `subscriptionRemoved` (which removes it) or `reauthorizationRequired`."""
    held, event = storage().subscriptions.get(key), str(told().get("event", ""))
    if held is None:
        raise Refused("There is no such subscription.")
    act: dict[str, Callable[[], None]] = {
        "missed": lambda: courier().lifecycle(held, "missed"),
        "subscriptionRemoved": lambda: courier().remove(held),
        "reauthorizationRequired": lambda: courier().lifecycle(held, "reauthorizationRequired"),
    }
    if event not in act:
        raise Refused(f"event must be one of {', '.join(act)}.")
    act[event]()
    return jsonify(sent=event)


@blueprint.get("/deliveries")
def deliveries() -> Response:
    return jsonify([report.delivery(each) for each in list(storage().deliveries)])

"""Change tracking of a calendar view.

A delta token remembers what its reader has been told; the next round is the difference between that and the window as
it is now. So everything that can happen to an event (moved out of the window, to another calendar, deleted as part of
a series) comes out right by itself.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, g, request

from ..context import graph_origin, storage
from ..ids import new_secret
from ..mailbox import find_event, occurrence_id
from ..records.mailbox import Delta, Mailbox
from .calendars import find_calendar, window
from .caller import READ_BASIC, Caller, immutable_ids, mailbox_of, prefer
from .errors import GraphError, bad_request
from .odata import PAGE, reply
from .recur import Item, lay_out, split_occurrence
from .shape import context, event_json, iso, wanted_zone, whole

blueprint = Blueprint("delta", __name__)
REFUSED = ("$select", "$filter", "$orderby", "$search", "$expand", "$top", "$skip", "$count")
TYPE = "#microsoft.graph.event"
LOST = "The sync state generation is not found; a full resync is needed."
KEPT = 200  # delta tokens per mailbox; older ones are evicted, as Outlook's cache does


def _routes(path: str) -> list[str]:
    return [
        f"/v1.0/me/{path}/{name}" for name in ("delta", "delta()", "microsoft.graph.delta()", "microsoft.graph.delta")
    ]


def delta(key: str | None = None) -> Response:
    """https://learn.microsoft.com/graph/api/event-delta and https://learn.microsoft.com/graph/delta-query-events

    Refuses the query options that change tracking does not take. Leaves out the window-free delta of /me/events.
    """
    caller = mailbox_of(*READ_BASIC)
    given = {name.lower(): value for name, value in request.args.items()}
    refused = [name for name in REFUSED if name in given]
    if refused:
        raise bad_request(
            "The following parameters are not supported with change tracking over the 'CalendarView' resource: "
            f"'{', '.join(refused)}'.", "ErrorInvalidUrlQuery",
        )  # fmt: skip
    token = given.get("$skiptoken") or given.get("$deltatoken")
    with storage().lock:
        state = _state(caller.mailbox, token, "$deltatoken" in given) if token else _first(caller, key)
        return _page(caller, state)


for _path in ("calendarView", "calendar/calendarView", "calendars/<key>/calendarView"):
    for _route in _routes(_path):
        blueprint.add_url_rule(_route, view_func=delta, methods=["GET"])


def _first(caller: Caller, key: str | None) -> Delta:
    start, end = window()
    return _difference(caller.mailbox, Delta(find_calendar(caller.mailbox, key).id, start, end, {}))


def _state(box: Mailbox, token: str, next_round: bool) -> Delta:
    """What a token stands for. Raises GraphError 410, or 40x `syncStateNotFound`."""
    state = box.deltas.get(token)
    if state is None:
        raise GraphError(410, "SyncStateNotFound", LOST, {"Location": _fresh_start(token)})
    if state.spent:
        status = 410 if state.spent in {"410", "resyncRequired"} else 400
        code = {"410": "SyncStateNotFound"}.get(state.spent, state.spent)
        raise GraphError(status, code, LOST, {"Location": _fresh_start(token)})
    if state.calendar not in box.calendars:
        raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return _difference(box, state) if next_round else state


def new_token(start: datetime, end: datetime) -> str:
    """Opaque to clients; ours begins with the window, so that a lost token can still say where to start afresh."""
    readable = f"{iso(start)}~{iso(end)}"
    return f"{base64.urlsafe_b64encode(readable.encode()).decode().rstrip('=')}.{new_secret(size=60)}"


def _fresh_start(token: str) -> str:
    """The address of a first round over the same window, with an empty token as Microsoft's has."""
    readable = token.partition(".")[0]
    try:
        start, _, end = base64.urlsafe_b64decode(readable + "=" * (-len(readable) % 4)).decode().partition("~")
    except ValueError:
        return f"{graph_origin()}{request.path}?$deltatoken="
    return f"{graph_origin()}{request.path}?startDateTime={start}&endDateTime={end}&$deltatoken="


def _difference(box: Mailbox, before: Delta) -> Delta:
    """A round: what changed in the window since `before`."""
    now = _window(box, before.calendar, before.start, before.end)
    pending: list[tuple[str, int | None]] = [
        (key, version) for key, version in now.items() if before.known.get(key) != version
    ]
    pending += [(key, None) for key in before.known if key not in now]
    return Delta(before.calendar, before.start, before.end, now, pending)


def _window(box: Mailbox, calendar: str, start: datetime, end: datetime) -> dict[str, int]:
    """Key to version of everything in the window; a series shows its master too, before its occurrences."""
    found: dict[str, int] = {}
    for item in lay_out(box, calendar, start, end):
        master = box.events.get(item.event.master) or (item.event if item.kind == "occurrence" else None)
        if master:
            found.setdefault(master.id, master.version)
        found[item.key] = item.version
    return found


def _page(caller: Caller, state: Delta) -> Response:
    size = int(prefer("odata.maxpagesize") or PAGE) if (prefer("odata.maxpagesize") or "1").isdecimal() else PAGE
    size = max(1, size)
    if prefer("odata.maxpagesize"):
        g.setdefault("applied", set()).add(f"odata.maxpagesize={size}")
    name = wanted_zone()
    rows = [
        row for key, _ in state.pending[state.offset : state.offset + size] if (row := _row(caller, key, name, state))
    ]
    told: dict[str, Any] = {"@odata.context": context("Collection(event)"), "value": rows}
    left = state.offset + size < len(state.pending)
    rest = Delta(state.calendar, state.start, state.end, state.known, state.pending, state.offset + size)
    if not left:
        rest.pending, rest.offset = [], 0
    token = new_token(state.start, state.end)
    box = caller.mailbox
    box.deltas[token] = rest
    while len(box.deltas) > KEPT:
        del box.deltas[next(iter(box.deltas))]
    told["@odata.nextLink" if left else "@odata.deltaLink"] = (
        f"{graph_origin()}{request.path}?{urlencode({'$skiptoken' if left else '$deltatoken': token}, safe='$')}"
    )
    return reply(told)


def _row(caller: Caller, key: str, zone_name: str, state: Delta) -> dict[str, Any] | None:
    """An entry as it is at this moment, or the news that it is gone."""
    stored = caller.mailbox.events.get(key)
    if stored and stored.calendar == state.calendar and key in state.known:
        return {"@odata.type": TYPE, **event_json(whole(stored), caller, zone_name)}
    split = split_occurrence(key)
    master = caller.mailbox.events.get(split[0]) if split else None
    if split and master and key in state.known and master.recurrence and split[1].isoformat() not in master.cancelled:
        length = master.end - master.start
        item = Item(key, "occurrence", master, split[1], split[1] + length, master.version)
        return _bare(event_json(item, caller, zone_name))
    return {"@odata.type": TYPE, "id": _shown_id(caller, key), "@removed": {"reason": "deleted"}}


def _bare(told: dict[str, Any]) -> dict[str, Any]:
    """Delta tells of an occurrence only this much; the rest is its series master's.

    https://github.com/microsoftgraph/microsoft-graph-docs/issues/7632
    """
    kept = ("@odata.etag", "id", "seriesMasterId", "type", "start", "end")
    return {"@odata.type": TYPE, **{name: told[name] for name in kept}}


def _shown_id(caller: Caller, key: str) -> str:
    """The id by which the reader knows something that may be gone already."""
    if not immutable_ids():
        return key
    split = split_occurrence(key)
    stored = find_event(caller.mailbox, split[0] if split else key)
    if stored is None:
        return caller.mailbox.gone.get(split[0] if split else key, key)
    return occurrence_id(stored, split[1], True) if split else stored.immutable_id

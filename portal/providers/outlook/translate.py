"""Microsoft's JSON into our value types, and nothing else.

Whatever arrives is translated or refused with Unreachable ("an answer that makes no sense"). A private event's subject
ends here. https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

from collections.abc import Mapping

from portal.providers.base import Calendar, Changes, Event
from portal.providers.outlook.shape import Item, identifier, items, link, senseless, storable, text
from portal.providers.outlook.times import day, moment

SHOW_AS = {"free", "tentative", "busy", "oof", "workingElsewhere"}
OPEN = {"normal", "personal"}
INHERITED = ("subject", "sensitivity", "showAs", "isAllDay")
"""What an occurrence may leave to its series."""


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


def changes(page: Item, masters: Mapping[str, Item] | None = None) -> Changes:
    """A page of changes. An item may repeat within a page; its last state counts.

    Removed are those marked so, cancelled ones, and series masters: an event that becomes a series keeps its id as the
    master's, and its occurrences come under ids of their own. `masters` are series that this page does not tell of.
    """
    following, delta = link(page, "@odata.nextLink"), link(page, "@odata.deltaLink")
    if (following is None) == (delta is None):
        raise senseless()
    series = {**_masters(page), **(masters or {})}
    states: dict[str, Event | None] = {}
    for item in items(page):
        key = identifier(item, "id")
        states.pop(key, None)
        states[key] = None if _is_removed(item) else event(_complete(item, series))
    return Changes(
        events=tuple(state for state in states.values() if state is not None),
        removed=tuple(key for key, state in states.items() if state is None),
        next_link=following,
        delta_link=delta,
    )


def missing_masters(page: Item) -> tuple[str, ...]:
    """The series that occurrences of this page leave their subject to, and that the page itself does not hold.

    Observed, not documented: delta may send an occurrence as id, type, seriesMasterId, start and end only.
    https://github.com/microsoftgraph/microsoft-graph-docs/issues/7632
    """
    known = _masters(page)
    wanted = (item.get("seriesMasterId") for item in items(page) if _is_bare(item))
    return tuple(dict.fromkeys(key for key in wanted if isinstance(key, str) and storable(key) and key not in known))


def _masters(page: Item) -> dict[str, Item]:
    return {identifier(item, "id"): item for item in items(page) if item.get("type") == "seriesMaster"}


def _is_bare(item: Item) -> bool:
    return not _is_removed(item) and "subject" not in item and item.get("seriesMasterId") is not None


def _complete(item: Item, series: Mapping[str, Item]) -> Item:
    key = item.get("seriesMasterId")
    master = series.get(key) if isinstance(key, str) and _is_bare(item) else None
    return {**{name: master[name] for name in INHERITED if name in master}, **item} if master is not None else item


def _is_removed(item: Item) -> bool:
    return "@removed" in item or item.get("isCancelled") is True or item.get("type") == "seriesMaster"


def event(item: Item) -> Event:
    """One event. What is neither normal nor personal counts as private: better too quiet than too loud."""
    sensitivity, is_all_day = item.get("sensitivity"), item.get("isAllDay") is True
    is_private = sensitivity is not None and not (isinstance(sensitivity, str) and sensitivity in OPEN)
    read = day if is_all_day else moment
    starts_at, ends_at = read(item.get("start")), read(item.get("end"))
    if ends_at < starts_at:
        raise senseless()
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

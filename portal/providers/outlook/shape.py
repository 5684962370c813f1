"""The small questions asked of every JSON answer: is this an id, a text, a list of objects, a link."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from portal.providers.base import Unreachable

Item = Mapping[str, Any]

_UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def items(page: Item) -> list[Item]:
    """The `value` of a collection: objects only."""
    found = page.get("value")
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise senseless()
    return found


def link(page: Item, name: str) -> str | None:
    """A link of a page, as it is: it is opaque and used verbatim."""
    found = page.get(name)
    if found is None:
        return None
    if not isinstance(found, str) or not storable(found):
        raise senseless()
    return found


def identifier(item: Item, name: str) -> str:
    """An id: a text that can be stored as it is."""
    found = item.get(name)
    if not storable(found):
        raise senseless()
    return str(found)


def text(value: object) -> str:
    """A text without what no database can hold (NUL, other controls, halves of a surrogate pair)."""
    return _UNSTORABLE.sub("", value) if isinstance(value, str) else ""


def storable(value: object) -> bool:
    """A text that is not empty and needs no cleaning."""
    return isinstance(value, str) and value != "" and not _UNSTORABLE.search(value)


def senseless() -> Unreachable:
    """The error for an answer that is not what it should be."""
    return Unreachable("Microsoft's answer makes no sense.")

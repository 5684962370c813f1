"""The OData query options that Graph's calendar endpoints take, and pages.

Follows https://learn.microsoft.com/graph/query-parameters. `$filter` is read by `filters.py`. Leaves out `$search` and
`$apply`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from flask import Response, g, jsonify, request

from ..context import graph_origin
from .errors import GraphError, bad_request
from .filters import matcher, value_at

JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
PAGE, LARGEST = 10, 1000


def number(name: str, usual: int, largest: int = 1_000_000) -> int:
    """A whole number out of the query. Raises GraphError 400."""
    text = request.args.get(name, "")
    if not text:
        return usual
    if not text.isdecimal() or int(text) > largest:
        raise bad_request(f"Invalid value '{text}' for {name} query option found.", "RequestBroker--ParseUri")
    return int(text)


def select(told: dict[str, Any]) -> dict[str, Any]:
    """Only what `$select` names; the id and the annotations always come along."""
    names = {name.strip() for name in request.args.get("$select", "").split(",") if name.strip()}
    if not names or "*" in names:
        return told
    return {key: value for key, value in told.items() if key in names or key == "id" or key.startswith("@")}


def reply(told: dict[str, Any], status: int = 200) -> Response:
    """Send an entity or a collection the way Graph writes JSON."""
    answer = jsonify(told)
    answer.status_code = status
    answer.content_type = JSON
    if g.get("applied"):
        answer.headers["Preference-Applied"] = ", ".join(sorted(g.applied))
    return answer


def collection(
    context: str, rows: Sequence[dict[str, Any]], finish: Callable[[dict[str, Any]], dict[str, Any]] = dict
) -> Response:
    """A collection after `$filter`, `$orderby`, `$skip`, `$top` and `$select`, with a nextLink where more is left.

    `finish` has the last word on every row shown, so a filter can look at what the answer hides.
    """
    found = list(rows)
    if request.args.get("$filter"):
        try:
            fits = matcher(request.args["$filter"])
            found = [row for row in found if fits(row)]
        except (ValueError, TypeError) as bad:
            raise GraphError(400, "BadRequest", f"Invalid filter clause: {bad}") from bad
    if request.args.get("$orderby"):
        for part in reversed(request.args["$orderby"].split(",")):
            path, _, way = part.strip().partition(" ")
            found.sort(key=lambda row, path=path: str(value_at(row, path)), reverse=way.strip() == "desc")  # type: ignore[misc]
    told: dict[str, Any] = {"@odata.context": context}
    if request.args.get("$count", "").lower() == "true":
        told["@odata.count"] = len(found)
    skip, top = number("$skip", 0), number("$top", PAGE, LARGEST)
    told["value"] = [select(finish(row)) for row in found[skip : skip + top]]
    if skip + top < len(found) and top:
        told["@odata.nextLink"] = here({**request.args.to_dict(), "$top": str(top), "$skip": str(skip + top)})
    return reply(told)


def here(query: dict[str, str]) -> str:
    """This request's own address with another query."""
    return f"{graph_origin()}{request.path}?{urlencode(query, safe='$,:/')}"

"""What every misfortune at every remote call of a disconnection must end in: one table for the tests, and for people.

A cell reads `ends / left`. *Ends* is the outcome of the four remote steps, one letter each, in their order:

    end_notifications   remove_our_meetings   withdraw_access   try_the_old_token

    D Done   Y LeftToYou (only you can)   X Expires (lapses by itself, told when)   F Failed (we could not find out)

*Left* is what Microsoft holds in the end: subscriptions of ours, then meetings of ours (`n`: all that were there, `?`:
as many as the receipt says; calls that have nothing to do with meetings have none to begin with). `!` marks what
Microsoft itself said was gone: a 404 or 410 to a DELETE is believed, as there is nobody else to ask.

Fair weather ends in `DDYX / 0 0`: Microsoft lets only the person withdraw consent, and still honours it until then.
The local steps are not in the table: they are Done in every cell, whatever happens at Microsoft.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAIR = "DDYX / 0 0"

CALLS = {
    "discovery": "the discovery document, asked for when our access is withdrawn",
    "refresh": "the token endpoint, when the access token has expired",
    "list": "GET /subscriptions",
    "delete": "DELETE /subscriptions/{id}",
    "look": "GET /me/events/{id}, before a meeting of ours is removed",
    "remove": "DELETE /me/events/{id}",
    "probe": "the token endpoint, when the old token is tried",
    "probe_again": "the same after a refresh that worked: an access token younger than the connection's last one",
}

# The weather lasts until the deadline.
LASTING = """
weather      | discovery  | refresh    | list       | delete      | look       | remove      | probe      | probe_again
refused      | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
reset        | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
timeout      | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 0 0  | DYYX / 0 n | DYYX / 0 0  | DDYF / 0 0 | DDYF / 0 0
drip         | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | DDYX / 0 0  | DYYX / 0 n | DDYX / 0 0  | DDYF / 0 0 | DDYF / 0 0
400          | DDYF / 0 0 | XDYD / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYX / 0 0 | DDYX / 0 0
401          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
403          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
404          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | DDYX / 1! 0 | DDYX / 0 n!| DDYX / 0 n! | DDYF / 0 0 | DDYF / 0 0
409          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
410          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | DDYX / 1! 0 | DYYX / 0 n | DDYX / 0 n! | DDYF / 0 0 | DDYF / 0 0
429 in       | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
429          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
500          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
502          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
503          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
504          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
not json     | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
wrong json   | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
empty        | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
endless      | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
redirect     | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
no tls       | DDYF / 0 0 | XDYF / 1 0 | XDYX / 1 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
"""

# The weather meets one call and is over: everything ends as in fair weather, except where Microsoft's one answer was
# definite, and therefore believed.
PASSING = {
    ("refresh", "400"): "XDYX / 1 0",  # the grant is dead, said the token endpoint
    ("list", "403"): "XDYX / 1 0",  # the permission is missing, said Graph
    ("delete", "403"): "XDYX / 1 0",
    ("delete", "404"): "DDYX / 1! 0",
    ("delete", "410"): "DDYX / 1! 0",
    ("look", "403"): "DYYX / 0 ?",
    ("look", "404"): "DDYX / 0 1!",
    ("remove", "403"): "DYYX / 0 ?",
    ("remove", "404"): "DDYX / 0 1!",
    ("remove", "410"): "DDYX / 0 1!",
}

LOST = {(call, weather) for call in ("refresh", "probe", "probe_again") for weather in ("reset", "timeout", "drip")}
"""Cells in which Microsoft issued tokens in an answer that never reached us: the receipt cannot know when they end."""


@dataclass(frozen=True)
class Expected:
    """One cell, read. `said_gone`: Microsoft said so, and it was not."""

    ends: tuple[str, ...]
    subscriptions: int
    meetings: str
    said_gone: bool


DEFINITE = {
    *((call, "400") for call in ("refresh", "probe", "probe_again")),
    *((call, weather) for call in ("list", "delete", "look", "remove") for weather in ("401", "403")),
    *((call, "404") for call in ("delete", "look", "remove")),
    *((call, "410") for call in ("delete", "remove")),
}
"""Cells in which the answer is believed at once: there is nothing to be tried again."""

HARMLESS = {("delete", "drip"), ("remove", "drip")}
"""Cells in which the weather changes nothing: an answer without a body cannot drip."""

OUTCOMES = {"D": "Done", "Y": "LeftToYou", "X": "Expires", "F": "Failed"}


def read_cell(text: str) -> Expected:
    """Read one cell; a misspelt one is an error."""
    found = re.fullmatch(r"([DYXF]{4}) / (\d)(!?) (\d|n|\?)(!?)", text.strip())
    if found is None:
        raise ValueError(f"not a cell: {text!r}")
    ends, subscriptions, lie, meetings, other_lie = found.groups()
    return Expected(
        tuple(OUTCOMES[letter] for letter in ends),
        int(subscriptions),
        meetings,
        bool(lie or other_lie),
    )


def read_table(table: str) -> dict[tuple[str, str], Expected]:
    """Call and weather of every cell, and what it says."""
    head, *rows = (line.split("|") for line in table.strip().splitlines())
    calls = [name.strip() for name in head[1:]]
    return {(call, row[0].strip()): read_cell(cell) for row in rows for call, cell in zip(calls, row[1:], strict=True)}


def lasting() -> dict[tuple[str, str], Expected]:
    """Every cell, for weather that lasts until the deadline."""
    return read_table(LASTING)


def passing() -> dict[tuple[str, str], Expected]:
    """Every cell, for weather that meets one call and is over."""
    return {cell: read_cell(PASSING.get(cell, FAIR)) for cell in lasting()}

"""What every misfortune at every remote call of a disconnection must end in: one table for the tests, and for people.

A cell reads `ends / left`. *Ends* is the outcome of the four remote steps, one letter each, in their order:

    end_notifications   remove_our_meetings   withdraw_access   try_the_old_token

    D Done   Y LeftToYou (only you can)   X Expires (lapses by itself, told when)   F Failed (we could not find out)

*Left* is what Microsoft holds in the end: subscriptions of ours, then meetings of ours (`n`: all that were there; calls
that have nothing to do with meetings have none to begin with), then permissions that the person gave us (the one they
gave, where no figure stands). `!` marks what Microsoft itself said was gone: a 404 or 410 to a DELETE is believed,
unless a list of what is there says otherwise, and then the second one.

Fair weather ends in `DDYX / 0 0`: Microsoft lets only the person withdraw consent, and still honours it until then.
Where the business asked us to remove permissions, it ends in `DDDX / 0 0 0`; at a provider that offers revocation in
`DDDX / 0 0`. The local steps are not in the table: they are Done in every cell, whatever happens at Microsoft.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAIR = "DDYX / 0 0"
FAIR_REMOVING = "DDDX / 0 0 0"
FAIR_REVOKING = "DDDX / 0 0"

CALLS = {
    "discovery": "the discovery document, asked for when our access is withdrawn",
    "refresh": "the token endpoint, when the access token has expired",
    "list": "GET /subscriptions",
    "delete": "DELETE /subscriptions/{id}",
    "look": "GET /me/events/{id}, before a meeting of ours is removed",
    "remove": "DELETE /me/events/{id}",
    "probe": "the token endpoint, when the old token is tried",
    "probe_again": "the same after a refresh that worked: an access token younger than the connection's last one",
    "find": "GET .../events by our mark, for a meeting of ours whose writing was never answered",
    "directory": "the discovery document of the person's directory, where the business asked us to remove permissions",
    "app_token": "the token endpoint of that directory, for the application itself",
    "principal": "GET /servicePrincipals(appId=..)",
    "grants": "GET /oauth2PermissionGrants, the person's own",
    "everyone": "the same, those given for everyone",
    "delete_grant": "DELETE /oauth2PermissionGrants/{id}",
    "revoke": "the revocation endpoint of a provider that has one, for the refresh token",
    "revoke_next": "the same for the access token",
}
REMOVING = ("directory", "app_token", "principal", "grants", "everyone", "delete_grant")
REVOKING = ("revoke", "revoke_next")

# The weather lasts until the deadline.
LASTING = """
weather      | discovery  | refresh    | list       | delete      | look       | remove      | probe      | probe_again
refused      | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
reset        | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
timeout      | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 0 0  | DYYX / 0 n | DYYX / 0 0  | DDYF / 0 0 | DDYF / 0 0
drip         | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | DDYX / 0 0  | DYYX / 0 n | DDYX / 0 0  | DDYF / 0 0 | DDYF / 0 0
400          | DDYF / 0 0 | XDYD / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYX / 0 0 | DDYX / 0 0
401          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
403          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
404          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | DDYX / 1! 0 | DDYX / 0 n!| DDYX / 0 n! | DDYF / 0 0 | DDYF / 0 0
409          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
410          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | DDYX / 1! 0 | DYYX / 0 n | DDYX / 0 n! | DDYF / 0 0 | DDYF / 0 0
429 in       | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
429          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
500          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
502          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
503          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
504          | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
not json     | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
wrong json   | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
empty        | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
endless      | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
redirect     | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
no tls       | DDYF / 0 0 | XDYF / 1 0 | XDYX / 0 0 | XDYX / 1 0  | DYYX / 0 n | DYYX / 0 n  | DDYF / 0 0 | DDYF / 0 0
"""

# The same for the calls that only some disconnections need.
LASTING_SOMETIMES = """
weather      | find        | directory  | app_token  | principal  | grants     | everyone
refused      | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
reset        | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
timeout      | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
drip         | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
400          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
401          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
403          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
404          | DDYX / 0 1! | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
409          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
410          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
429 in       | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
429          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
500          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
502          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
503          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
504          | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
not json     | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
wrong json   | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
empty        | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
endless      | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
redirect     | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
no tls       | DYYX / 0 1  | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0 | DDYX / 0 0
"""

LASTING_ENDS_ACCESS = """
weather      | delete_grant  | revoke     | revoke_next
refused      | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
reset        | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
timeout      | DDYX / 0 0 0  | DDYX / 0 0 | DDYX / 0 0
drip         | DDDX / 0 0 0  | DDDX / 0 0 | DDDX / 0 0
400          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
401          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
403          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
404          | DDDX / 0 0 1! | DDYX / 0 0 | DDYX / 0 0
409          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
410          | DDDX / 0 0 1! | DDYX / 0 0 | DDYX / 0 0
429 in       | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
429          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
500          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
502          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
503          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
504          | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
not json     | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
wrong json   | DDYX / 0 0    | DDDX / 0 0 | DDDX / 0 0
empty        | DDYX / 0 0    | DDDX / 0 0 | DDDX / 0 0
endless      | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
redirect     | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
no tls       | DDYX / 0 0    | DDYX / 0 0 | DDYX / 0 0
"""

REFUSALS = ("400", "401", "403", "404", "409", "410")

# The weather meets one call and is over: everything ends as in fair weather, except where Microsoft's one answer was
# definite, and therefore believed.
PASSING = {
    ("refresh", "400"): "XDYX / 1 0",  # the grant is dead, said the token endpoint
    ("list", "403"): "XDYX / 0 0",  # the permission is missing, said Graph
    ("look", "404"): "DDYX / 0 1!",
    ("remove", "404"): "DDYX / 0 1!",
    ("remove", "410"): "DDYX / 0 1!",
    ("app_token", "400"): "DDYX / 0 0",
    **{(call, weather): "DDYX / 0 0" for call in ("principal", "grants", "everyone") for weather in REFUSALS},
    **{("delete_grant", weather): "DDYX / 0 0" for weather in ("400", "401", "403", "409")},
    **{("delete_grant", weather): "DDDX / 0 0 1!" for weather in ("404", "410")},
}


@dataclass(frozen=True)
class Expected:
    """One cell, read. `said_gone`: Microsoft said so, and it was not."""

    ends: tuple[str, ...]
    subscriptions: int
    meetings: str
    grants: int
    said_gone: bool


DEFINITE = {
    *((call, "400") for call in ("refresh", "probe", "probe_again")),
    *((call, weather) for call in ("list", "delete", "look", "remove") for weather in ("401", "403")),
    *((call, "404") for call in ("delete", "look", "remove")),
    *((call, "410") for call in ("delete", "remove")),
    *(("find", weather) for weather in ("401", "403", "404")),
    ("app_token", "400"),
    *((call, weather) for call in ("principal", "grants", "everyone", "delete_grant") for weather in REFUSALS),
}
"""Cells in which the answer is believed in the same try: at once, or when it is the same once the others are done."""

HARMLESS = {(call, "drip") for call in ("delete", "remove", "delete_grant", *REVOKING)}
HARMLESS |= {("find", weather) for weather in ("400", "409", "410")}
"""Cells in which the weather changes nothing: an answer without a body cannot drip, and what is not found by one
question, since it was refused, is found by the next, as a default calendar is asked by both its names."""

BELIEVED = {(call, weather) for call in REVOKING for weather in ("wrong json", "empty")}
"""Cells in which nobody could tell the weather from a revocation: a bare 200 is all that RFC 7009 section 2.2 asks."""

OUTCOMES = {"D": "Done", "Y": "LeftToYou", "X": "Expires", "F": "Failed"}


def read_cell(text: str) -> Expected:
    """Read one cell; a misspelt one is an error."""
    found = re.fullmatch(r"([DYXF]{4}) / (\d)(!?) (\d|n)(!?)(?: (\d)(!?))?", text.strip())
    if found is None:
        raise ValueError(f"not a cell: {text!r}")
    ends, subscriptions, lie, meetings, other_lie, grants, third_lie = found.groups()
    return Expected(
        tuple(OUTCOMES[letter] for letter in ends),
        int(subscriptions),
        meetings,
        int(grants or 1),
        bool(lie or other_lie or third_lie),
    )


def read_table(table: str) -> dict[tuple[str, str], Expected]:
    """Call and weather of every cell, and what it says."""
    head, *rows = (line.split("|") for line in table.strip().splitlines())
    calls = [name.strip() for name in head[1:]]
    return {(call, row[0].strip()): read_cell(cell) for row in rows for call, cell in zip(calls, row[1:], strict=True)}


def lasting() -> dict[tuple[str, str], Expected]:
    """Every cell, for weather that lasts until the deadline."""
    return read_table(LASTING) | read_table(LASTING_SOMETIMES) | read_table(LASTING_ENDS_ACCESS)


def fair(call: str) -> str:
    """How a disconnection that makes this call ends in fair weather."""
    return FAIR_REMOVING if call in REMOVING else FAIR_REVOKING if call in REVOKING else FAIR


def passing() -> dict[tuple[str, str], Expected]:
    """Every cell, for weather that meets one call and is over."""
    return {cell: read_cell(PASSING.get(cell, fair(cell[0]))) for cell in lasting()}

"""The many ways to spell one Graph address, brought to one before routing.

`/users/{me}/...` for `/me/...`, `calendars('id')` for `calendars/id`, doubled slashes, and any case.
Follows https://learn.microsoft.com/graph/use-the-api and OData's URL conventions (keys as segments).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

WORDS = [
    "me",
    "users",
    "calendar",
    "calendars",
    "calendarView",
    "events",
    "instances",
    "delta",
    "delta()",
    "subscriptions",
    "reauthorize",
    "oauth2PermissionGrants",
    "servicePrincipals",
    "appRoleAssignments",
    "revokeSignInSessions",
    "translateExchangeIds",
    "microsoft.graph.delta",
    "microsoft.graph.delta()",
]
SPELT = {word.lower(): word for word in WORDS}
KEY = re.compile(r"^([A-Za-z0-9]+)\('(.*)'\)$")
OWN = "sandbox.user"  # whom a /users/ address named; the handlers compare it with the token's person


class OneSpelling:
    """WSGI middleware for everything under /v1.0."""

    def __init__(self, app: WSGIApplication) -> None:
        self.app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.lower().startswith("/v1.0"):
            environ["sandbox.path"] = path
            environ["PATH_INFO"], user = one_spelling(path)
            if user:
                environ[OWN] = user
        return self.app(environ, start_response)


def one_spelling(path: str) -> tuple[str, str]:
    """The address as our routes have it, and the user it named (empty for /me)."""
    parts: list[str] = []
    for part in filter(None, path.split("/")):
        keyed = KEY.match(part)
        for piece in (keyed[1], unquote(keyed[2])) if keyed else (part,):
            parts.append(SPELT.get(piece.lower(), piece))
    user = ""
    if len(parts) > 2 and parts[1] == "users" and parts[3:] != ["revokeSignInSessions"]:
        user, parts[1:3] = parts[2], ["me"]
    return "/" + "/".join(parts), user


def named_user(environ: dict[str, Any]) -> str:
    return str(environ.get(OWN, ""))

"""Who calls Graph, and whether their token allows what they want to do."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from flask import g, request

from ..context import now, storage
from ..ids import GRAPH_APP, digest
from ..records.identity import AccessToken, Person
from ..records.mailbox import Mailbox
from .errors import GraphError
from .paths import named_user

READ = ("Calendars.Read", "Calendars.ReadWrite")
READ_BASIC = ("Calendars.ReadBasic", *READ)
WRITE = ("Calendars.ReadWrite",)


@dataclass(frozen=True, slots=True)
class Caller:
    """A checked token and the person behind it."""

    token: AccessToken
    person: Person

    @property
    def mailbox(self) -> Mailbox:
        return storage().mailbox(self.person.oid)


def unauthorized(message: str) -> GraphError:
    challenge = 'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize"'
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": challenge})


def bearer() -> AccessToken:
    """The token of this request, alive. Raises GraphError 401."""
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise unauthorized("Access token is empty.")
    held = storage().access_tokens.get(digest(token.strip()))
    if held is None:
        raise unauthorized("CompactToken parsing failed with error code: 80049217")
    g.account = held.oid
    if held.expires <= now():
        raise unauthorized("Lifetime validation failed, the token is expired.")
    _check_claims(held)
    return held


def _check_claims(held: AccessToken) -> None:
    """https://learn.microsoft.com/entra/identity-platform/app-resilience-continuous-access-evaluation

    Only a client that declared `cp1` learns of a critical event before its token ends. A challenge ordered at the desk
    meets every token until one comes that was asked for with `claims`.
    """
    person = storage().people.get(held.oid)
    if person is None:
        return
    if held.cae and (held.issued < person.valid_from or not person.enabled):
        wanted = {"access_token": {"nbf": {"essential": True, "value": str(int(person.valid_from.timestamp()))}}}
        raise challenge(
            json.dumps(wanted),
            "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: "
            "TokenIssuedBeforeRevocationTimestamp",
        )
    if person.challenge and not held.claims:
        raise challenge(person.challenge, "The token lacks claims that the resource asks for.")


def challenge(claims: str, message: str) -> GraphError:
    """A claims challenge: the client shall ask for a new token with these claims."""
    encoded = base64.b64encode(claims.encode()).decode()
    header = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", '
        f'client_id="{GRAPH_APP}", error="insufficient_claims", claims="{encoded}"'
    )
    return GraphError(401, "InvalidAuthenticationToken", message, {"WWW-Authenticate": header})


def person_with(*scopes: str, code: str = "ErrorAccessDenied") -> Caller:
    """The caller, if their token holds one of the scopes. Raises GraphError 401, 403."""
    token = bearer()
    person = storage().people.get(token.oid)
    if person is None:
        raise GraphError(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
    named = named_user(request.environ)
    if named and named.lower() not in {person.oid, person.address.lower(), "me-token-to-replace"}:
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    if scopes and not token.scopes & set(scopes):
        raise GraphError(403, code, "Access is denied. Check credentials and try again.")
    return Caller(token, person)


def mailbox_of(*scopes: str) -> Caller:
    """As `person_with`, for a person who has a mailbox in Exchange Online."""
    caller = person_with(*scopes)
    if caller.person.mailbox:
        raise GraphError(
            404, caller.person.mailbox, "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
        )
    return caller


def prefer(name: str) -> str:
    """One preference out of the Prefer headers, unquoted; empty if absent. Names are compared without case."""
    for part in ",".join(request.headers.getlist("Prefer")).split(","):
        key, _, value = part.strip().partition("=")
        if key.strip().lower() == name.lower():
            return value.strip().strip('"')
    return ""


def immutable_ids() -> bool:
    asked = prefer("IdType").lower() == "immutableid"
    if asked:
        g.setdefault("applied", set()).add('IdType="ImmutableId"')
    return asked

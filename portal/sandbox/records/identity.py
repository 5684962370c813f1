"""What the sign-in half remembers: directories, people, registrations, consents, codes, tokens and sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from ..ids import CONSUMERS, GRAPH_APP


@dataclass(slots=True)
class Tenant:
    """A directory. `consent` says what its people may consent to by themselves:
    `open` anything not reserved for admins, `default` no calendar scopes (Microsoft's default since 2025),
    `workflow` as `default`, but people can send their admin a request.
    """

    id: str
    domain: str
    name: str
    consent: str = "open"
    region: str = "EU"

    @property
    def personal(self) -> bool:
        return self.id == CONSUMERS


@dataclass(slots=True)
class Person:
    """An account. `problem` is an AADSTS number that every silent token request meets until a fresh sign-in;
    `withheld` are scopes never granted, whatever was asked for; `challenge` are claims (JSON) that Graph wants to see
    in a token from now on; `mailbox` is the Graph code that every mailbox call meets."""

    oid: str
    tid: str
    address: str
    name: str
    valid_from: datetime
    admin: bool = False
    enabled: bool = True
    mailbox: str = ""
    time_zone: str = "UTC"
    problem: int = 0
    withheld: frozenset[str] = frozenset()
    challenge: str = ""


@dataclass(slots=True)
class Secret:
    digest: str
    hint: str
    expires: datetime | None = None


@dataclass(slots=True)
class Client:
    """An application registration. `certificates` are PEM texts; `permissions` and `app_permissions` are what it
    declares, so what `.default` and an administrator's consent to everything mean; `id_tokens` says whether
    /authorize may issue them (the hybrid flow)."""

    id: str
    name: str
    secrets: list[Secret]
    redirect_uris: list[str]
    logout_url: str = ""
    certificates: list[str] = field(default_factory=list)
    permissions: tuple[str, ...] = (
        "openid",
        "profile",
        "email",
        "offline_access",
        "User.Read",
        "Calendars.ReadWrite",
    )
    app_permissions: tuple[str, ...] = ()
    id_tokens: bool = True


@dataclass(slots=True)
class ServicePrincipal:
    """How one tenant knows one application: here it can be switched off, given app roles, or be gone.

    `present` is False before the first consent; `deleted` after an administrator removed it.
    """

    id: str
    tid: str
    client: str
    enabled: bool = True
    present: bool = False
    deleted: bool = False
    app_roles: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Grant:
    """A consent to one resource. `principal` is a person's oid, or None for everybody in the tenant."""

    id: str
    tid: str
    client: str
    principal: str | None
    scopes: frozenset[str]
    made: datetime
    resource: str = GRAPH_APP


@dataclass(slots=True)
class Code:
    client: str
    oid: str
    redirect_uri: str
    scopes: tuple[str, ...]
    issued: datetime
    nonce: str = ""
    qualified: str = ""  # how the scopes were spelt: with the resource in front, or short
    challenge: str = ""
    challenge_method: str = "plain"
    auth_time: datetime | None = None
    redeemed: bool = False


@dataclass(slots=True)
class RefreshToken:
    client: str
    oid: str
    issued: datetime
    used: datetime
    scopes: tuple[str, ...]
    ended: int = 0  # the AADSTS number it meets since it was ended; 0 while it lives


@dataclass(slots=True)
class AccessToken:
    """`oid` is empty for a token of the application itself, whose `roles` are then what it may do."""

    client: str
    tid: str
    oid: str
    issued: datetime
    expires: datetime
    scopes: frozenset[str]
    roles: frozenset[str] = frozenset()
    cae: bool = False
    claims: str = ""


@dataclass(slots=True)
class BrowserSession:
    """The accounts signed in to one browser: oid to the moment of sign-in, and the apps visited."""

    accounts: dict[str, datetime] = field(default_factory=dict)
    clients: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Flow:
    """One visit to /authorize on its way through the pages."""

    tenant: str
    params: dict[str, str]
    started: datetime
    oid: str = ""
    auth_time: datetime | None = None


@dataclass(slots=True)
class ApprovalRequest:
    """What a person sent to their administrator instead of consenting (the admin consent workflow)."""

    oid: str
    client: str
    scopes: frozenset[str]
    reason: str
    sent: datetime

"""The permissions the sandbox knows, in plain words, and who may consent to them.

Follows https://learn.microsoft.com/graph/permissions-reference and
https://learn.microsoft.com/entra/identity/enterprise-apps/manage-app-consent-policies.
Leaves out every permission that has nothing to do with a calendar, a mailbox or withdrawing consent.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..ids import GRAPH_APP
from ..records.identity import Tenant

OIDC = ("openid", "profile", "email", "offline_access")
REAL_GRAPH = "https://graph.microsoft.com"


@dataclass(frozen=True, slots=True)
class Permission:
    words: str
    admin: bool = False
    personal: bool = True
    guarded: bool = False  # not for people to grant themselves under Microsoft's default policy


PERMISSIONS = {
    "openid": Permission("Sign you in"),
    "profile": Permission("See your name and picture"),
    "email": Permission("See your e-mail address"),
    "offline_access": Permission("Keep access to what you allow, also when you are away"),
    "User.Read": Permission("Sign you in and read your profile"),
    "User.ReadBasic.All": Permission("Read the basic profiles of everybody", personal=False),
    "Calendars.ReadBasic": Permission("See when you are busy, without details", guarded=True),
    "Calendars.Read": Permission("Read your calendars", guarded=True),
    "Calendars.ReadWrite": Permission("Read and change your calendars", guarded=True),
    "Calendars.Read.Shared": Permission("Read calendars shared with you", guarded=True),
    "Calendars.ReadWrite.Shared": Permission("Read and change calendars shared with you", guarded=True),
    "Mail.Read": Permission("Read your mail", guarded=True),
    "Mail.Send": Permission("Send mail as you", guarded=True),
    "Contacts.Read": Permission("Read your contacts", guarded=True),
    "MailboxSettings.Read": Permission("Read your mailbox settings", guarded=True),
    "User.ReadWrite": Permission("Read and change your profile"),
    "User.RevokeSessions.All": Permission("Sign people out everywhere", admin=True, personal=False),
    "User.ReadWrite.All": Permission("Change everybody's profile", admin=True, personal=False),
    "Directory.Read.All": Permission("Read the whole directory", admin=True, personal=False),
    "Directory.ReadWrite.All": Permission("Change the whole directory", admin=True, personal=False),
    "Application.Read.All": Permission("Read all applications", admin=True, personal=False),
    "Application.ReadWrite.All": Permission("Change all applications", admin=True, personal=False),
    "DelegatedPermissionGrant.Read.All": Permission("Read everybody's consents", admin=True, personal=False),
    "DelegatedPermissionGrant.ReadWrite.All": Permission("Change everybody's consents", admin=True, personal=False),
}
BY_LOWER = {name.lower(): name for name in PERMISSIONS}


class UnknownScope(ValueError):
    """A scope that no permission answers to."""


class UnknownResource(ValueError):
    """A scope of a resource that is not Graph."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a scope parameter asks for. `qualified` is the resource in front of the names, or empty for short names."""

    names: tuple[str, ...]
    qualified: str
    everything: bool  # `.default`: whatever was consented before


def parse(text: str, graph: str) -> Asked:
    """Read a scope parameter; `graph` is Graph's origin here. Raises UnknownScope, UnknownResource."""
    names: list[str] = []
    qualified, everything = "", False
    resources = (f"{graph}/", f"{REAL_GRAPH}/", f"{GRAPH_APP}/")
    for word in text.split():
        resource = next((r for r in resources if word.lower().startswith(r)), "")
        name = word[len(resource) :].lstrip("/") if resource else word
        if not resource and ("://" in word or "/" in word):
            raise UnknownResource(word)
        if resource:
            qualified = resource
        if name.lower() == ".default":
            everything = True
        elif name.lower() not in BY_LOWER:
            raise UnknownScope(word)
        elif (known := BY_LOWER[name.lower()]) not in names:
            names.append(known)
    return Asked(tuple(names), qualified, everything)


def spell(scopes: frozenset[str], qualified: str) -> str:
    """The `scope` of a token answer: permissions spelt as they were asked for, without offline_access."""
    shown = sorted(scopes - {"offline_access"}, key=str.lower)
    return " ".join(name if name in OIDC else f"{qualified}{name}" for name in shown)


def needs_admin(tenant: Tenant, scopes: frozenset[str]) -> frozenset[str]:
    """Those scopes that a plain person of this tenant may not consent to."""
    if tenant.personal:
        return frozenset(name for name in scopes if not PERMISSIONS[name].personal)
    guarded = tenant.consent in {"default", "workflow"}
    return frozenset(name for name in scopes if PERMISSIONS[name].admin or (guarded and PERMISSIONS[name].guarded))

"""What the `{tenant}` in an address means: `common`, `organizations`, `consumers`, a GUID or a verified domain.

Follows https://learn.microsoft.com/entra/identity-platform/v2-protocols#endpoints.
"""

from __future__ import annotations

from ..ids import CONSUMERS
from ..records.identity import Person
from ..storage import Storage
from .errors import IdentityError

SHARED = ("common", "organizations", "consumers")


def check(storage: Storage, segment: str) -> str:
    """The segment in its canonical form: a shared word or a tenant's GUID. Raises IdentityError 90002."""
    if segment.lower() in {"common", "organizations"}:
        return segment.lower()
    if segment.lower() in {"consumers", CONSUMERS}:
        return CONSUMERS
    tenant = storage.tenant(segment)
    if tenant is None:
        raise IdentityError(90002, f"Tenant '{segment}' was not found.")
    return tenant.id


def admits(segment: str, person: Person) -> bool:
    """Whether somebody with this account can sign in at this authority."""
    if segment == "common":
        return True
    if segment == "organizations":
        return person.tid != CONSUMERS
    return person.tid == segment

"""Withdraw a person's own permission, with a right that their administrator gave the application.

Microsoft offers no such call to an app that acts for a person; it takes the application permission
DelegatedPermissionGrant.ReadWrite.All. The token for it is asked for when it is needed, used for these few calls, and
forgotten; it lapses at Microsoft by itself (60 to 90 minutes).
https://learn.microsoft.com/graph/api/oauth2permissiongrant-delete
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from portal.providers.base import (
    AccessEnded,
    AccessExpired,
    ConsentWithdrawal,
    Gone,
    LinkSpent,
    ProviderError,
    Rejected,
)
from portal.providers.outlook import graph, shape
from portal.providers.outlook.caller import Caller
from portal.providers.outlook.tokens import TokenClient

T = TypeVar("T")

EVERYBODY = "AllPrincipals"
REFUSALS = (AccessEnded, AccessExpired, LinkSpent, Rejected)


def withdraw(client: TokenClient, caller: Caller, subject: str, still_wanted: Callable[[], bool]) -> ConsentWithdrawal:
    """Delete what this one person consented to. `client` speaks to the directory that the account belongs to.

    A consent that an administrator gave for everybody is looked for and reported, never touched. All looking is done
    before anything is deleted: whatever is raised by it means that nothing was. There may be several of one person's,
    one for each resource that the application ever asked for.
    https://learn.microsoft.com/graph/api/resources/oauth2permissiongrant
    """
    access = _allowed(lambda: client.of_application(f"{caller.graph_url}/.default"))
    own, tenant_wide = _allowed(lambda: _look(caller, access, client.client_id, subject))
    return _delete(caller, access, own, tenant_wide, still_wanted)


def _look(caller: Caller, access: str, client_id: str, subject: str) -> tuple[list[str], bool]:
    """The ids of this person's own grants, and whether there is one for everybody."""
    ours = shape.identifier(graph.own_principal(caller, access, client_id), "id")
    own = [
        shape.identifier(grant, "id")
        for grant in _grants(caller, access, ours, f"principalId eq '{_quoted(subject)}'")
        # else it is not this person's, whatever the filter was understood as
        if grant.get("consentType") != EVERYBODY and grant.get("principalId") == subject
    ]
    everybody = _grants(caller, access, ours, f"consentType eq '{EVERYBODY}'")
    return own, any(grant.get("consentType") == EVERYBODY for grant in everybody)


def _delete(
    caller: Caller, access: str, own: list[str], tenant_wide: bool, still_wanted: Callable[[], bool]
) -> ConsentWithdrawal:
    """Each by itself: what is refused of one says nothing about the next, and an outage undoes nothing."""
    request_ids, removed, refused = list[str](), 0, 0
    trouble: ProviderError | None = None
    left = False
    for grant_id in own:
        if not still_wanted():
            left = True
            break
        try:
            request_ids.append(graph.delete_grant(caller, access, grant_id))
            removed += 1
        except Gone:
            continue
        except REFUSALS as refusal:
            request_ids.append(refusal.request_id)
            refused += 1
        except ProviderError as error:
            trouble = error
            break
    return ConsentWithdrawal(removed, tenant_wide, tuple(filter(None, request_ids)), refused, trouble, left)


def _grants(caller: Caller, access: str, ours: str, further: str) -> Iterator[Mapping[str, Any]]:
    for grant in graph.grants(caller, access, f"clientId eq '{_quoted(ours)}' and {further}"):
        if grant.get("clientId") == ours:
            yield grant


def _quoted(value: str) -> str:
    """A text within a `$filter`: https://learn.microsoft.com/graph/filter-query-parameter"""
    return value.replace("'", "''")


def _allowed(ask: Callable[[], T]) -> T:
    """A refusal here says nothing about anybody's account: the application lacks the right in that directory, or is
    not known there, and asking again will not help."""
    failure: ProviderError | None = None
    try:
        return ask()
    except (Gone, *REFUSALS) as error:
        failure = Rejected(request_id=error.request_id)
    raise failure

"""Access that ended at Microsoft's side, brought about at the sandbox's desk."""

from __future__ import annotations

from typing import Any

import pytest

from portal.providers.base import AccessEnded, AccessExpired, AccessReason, Grant, LinkSpent, OurFault
from portal.providers.outlook.outlook import OutlookProvider
from portal.sandbox.server import Server
from tests.providers import person
from tests.providers.conftest import at_sandbox

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"


def ended(outlook: OutlookProvider, refresh_token: str | None) -> AccessReason:
    with pytest.raises(AccessEnded) as caught:
        outlook.refresh(refresh_token or "")
    return caught.value.reason


def test_it_works(outlook: OutlookProvider, desk: person.Desk, grant: Grant) -> None:
    desk("POST", f"accounts/{ADELE}/withdraw")
    assert ended(outlook, grant.tokens.refresh_token) is AccessReason.CONSENT_WITHDRAWN
    assert outlook.calendars(grant.tokens.access_token), "a living access token lapses only by itself"


def test_consent_withdrawn_by_a_personal_account(outlook: OutlookProvider, desk: person.Desk) -> None:
    grant = person.connect(outlook, MEGAN)
    desk("POST", f"accounts/{MEGAN}/withdraw")
    assert ended(outlook, grant.tokens.refresh_token) is AccessReason.CONSENT_WITHDRAWN


@pytest.mark.parametrize(
    ("method", "path", "body", "reason"),
    [
        ("POST", f"accounts/{ADELE}/revoke-sessions", {}, AccessReason.TOKEN_EXPIRED),
        ("POST", f"accounts/{ADELE}/expire-tokens", {"kinds": ["refresh"]}, AccessReason.TOKEN_EXPIRED),
        ("PATCH", f"accounts/{ADELE}", {"enabled": False}, AccessReason.ACCOUNT_DISABLED),
        ("PATCH", f"accounts/{ADELE}", {"sign_in_problem": 50076}, AccessReason.SIGN_IN_NEEDED),
        ("PATCH", f"accounts/{ADELE}", {"sign_in_problem": 53003}, AccessReason.POLICY_BLOCKS),
    ],
)
def test_access_ended_at_microsofts_side(
    outlook: OutlookProvider, desk: person.Desk, grant: Grant,
    method: str, path: str, body: dict[str, Any], reason: AccessReason,
) -> None:  # fmt: skip
    desk(method, path, **body)
    assert ended(outlook, grant.tokens.refresh_token) is reason


def test_the_application_disabled_in_a_tenant(
    server: Server, outlook: OutlookProvider, desk: person.Desk, grant: Grant
) -> None:
    desk("PATCH", f"tenants/contoso.example/applications/{server.config.client_id}", enabled=False)
    assert ended(outlook, grant.tokens.refresh_token) is AccessReason.APP_REMOVED


def test_our_secret_is_wrong_or_expired(
    server: Server, outlook: OutlookProvider, desk: person.Desk, grant: Grant
) -> None:
    with pytest.raises(OurFault):
        at_sandbox(server, secret="wrong").refresh(grant.tokens.refresh_token or "")
    desk("PATCH", f"applications/{server.config.client_id}", secret_expired=True)
    with pytest.raises(OurFault):
        outlook.refresh(grant.tokens.refresh_token or "")


def test_the_mailbox_goes_away(outlook: OutlookProvider, desk: person.Desk, grant: Grant) -> None:
    desk("PATCH", f"accounts/{ADELE}", mailbox_error="MailboxNotEnabledForRESTAPI")
    with pytest.raises(AccessEnded) as caught:
        outlook.calendars(grant.tokens.access_token)
    assert caught.value.reason is AccessReason.NO_MAILBOX


def test_an_access_token_expires(outlook: OutlookProvider, desk: person.Desk, grant: Grant) -> None:
    desk("POST", f"accounts/{ADELE}/expire-tokens", kinds=["access"])
    with pytest.raises(AccessExpired):
        outlook.calendars(grant.tokens.access_token)


@pytest.mark.parametrize("how", ["410", "syncStateNotFound", "resyncRequired"])
def test_a_delta_link_is_spent(outlook: OutlookProvider, desk: person.Desk, grant: Grant, how: str) -> None:
    access = grant.tokens.access_token
    link = person.full_round(outlook, access, outlook.calendars(access)[0].id)[-1].delta_link
    desk("POST", f"accounts/{ADELE}/spend-deltas", how=how)
    with pytest.raises(LinkSpent):
        outlook.next_changes(access, link or "")

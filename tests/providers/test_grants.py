"""Withdrawing a person's own consent with the right that their administrator gave the application."""

from __future__ import annotations

from typing import Any

import pytest

from portal.providers.base import AccessEnded, AccessReason, Account, Grant, Rejected, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from portal.sandbox.server import Server
from tests.providers import person
from tests.providers.fake import Fake
from tests.providers.genuine import CLIENT_ID, TENANT, discovery, token_answer

ADELE, MEGAN = "adele@contoso.example", "megan@outlook.example"
RIGHT = "DelegatedPermissionGrant.ReadWrite.All"


@pytest.fixture
def allowed(server: Server, desk: person.Desk, grant: Grant) -> Grant:
    """Adele's grant, in a directory whose administrator allowed the application to withdraw it."""
    desk("PATCH", f"tenants/contoso.example/applications/{server.config.client_id}", app_roles=[RIGHT])
    return grant


def withdraw(outlook: OutlookProvider, account: Account) -> Any:
    return outlook.withdraw_consent(account.tenant, account.subject)


def test_it_works(outlook: OutlookProvider, desk: person.Desk, allowed: Grant) -> None:
    done = withdraw(outlook, allowed.account)
    assert (done.removed, done.tenant_wide, len(done.request_ids)) == (1, False, 1)
    assert all(done.request_ids)
    assert desk("GET", f"accounts/{ADELE}")["grants"] == []
    with pytest.raises(AccessEnded) as caught:
        outlook.refresh(allowed.tokens.refresh_token or "")
    assert caught.value.reason is AccessReason.CONSENT_WITHDRAWN


def test_a_second_time_finds_nothing(outlook: OutlookProvider, allowed: Grant) -> None:
    withdraw(outlook, allowed.account)
    done = withdraw(outlook, allowed.account)
    assert (done.removed, done.tenant_wide, done.request_ids) == (0, False, ())


def test_a_consent_for_everybody_is_told_and_left(outlook: OutlookProvider, desk: person.Desk, allowed: Grant) -> None:
    desk("POST", f"accounts/{ADELE}/consent", scopes=["User.Read", "Calendars.ReadWrite"], tenant_wide=True)
    done = withdraw(outlook, allowed.account)
    assert (done.removed, done.tenant_wide) == (1, True)
    left = desk("GET", f"accounts/{ADELE}")["grants"]
    assert len(left) == 1, "the one for everybody"


def test_without_the_right_it_is_refused(server: Server, outlook: OutlookProvider, grant: Grant) -> None:
    with pytest.raises(Rejected) as caught:
        withdraw(outlook, grant.account)
    assert caught.value.request_id
    assert outlook.refresh(grant.tokens.refresh_token or ""), "and nothing was withdrawn"


def test_where_the_application_is_not_known_it_is_refused(
    server: Server, outlook: OutlookProvider, desk: person.Desk, allowed: Grant
) -> None:
    desk("PATCH", f"tenants/contoso.example/applications/{server.config.client_id}", enabled=False)
    with pytest.raises(Rejected):
        withdraw(outlook, allowed.account)


def test_a_personal_account_has_no_directory(outlook: OutlookProvider, desk: person.Desk) -> None:
    with pytest.raises(Rejected):
        withdraw(outlook, person.connect(outlook, MEGAN).account)


# --- against answers that nobody should give --------------------------------------------------------------------------

GRANTS = "GET /v1.0/oauth2PermissionGrants"
OWN = {"id": "g-1", "clientId": "sp-1", "consentType": "Principal", "principalId": "oid-adele", "scope": "User.Read"}


@pytest.fixture
def directory(provider: OutlookProvider, fake: Fake) -> Fake:
    """A directory that knows us as sp-1 and Adele's one grant."""
    at = f"/{TENANT}/v2.0/.well-known/openid-configuration"
    fake.on(f"GET {at}", discovery(fake.url, token_endpoint=f"{fake.url}/{TENANT}/oauth2/v2.0/token"))
    fake.on(f"POST /{TENANT}/oauth2/v2.0/token", token_answer(refresh_token=None, scope=None, access_token="of-app"))
    fake.on(f"GET /v1.0/servicePrincipals(appId='{CLIENT_ID}')", {"id": "sp-1"})
    fake.on(GRANTS, {"value": [OWN]}, {"value": []})
    fake.on("DELETE /v1.0/oauth2PermissionGrants/g-1", (204, b"", {}))
    return fake


def test_what_is_asked(provider: OutlookProvider, directory: Fake) -> None:
    done = provider.withdraw_consent(TENANT, "oid-adele")
    assert (done.removed, done.request_ids) == (1, ("server-7",))
    asked = directory.calls(f"POST /{TENANT}/oauth2/v2.0/token")[0].form
    assert (asked["grant_type"], asked["scope"]) == ("client_credentials", f"{directory.url}/.default")
    assert [call.query["$filter"] for call in directory.calls(GRANTS)] == [
        ["clientId eq 'sp-1' and principalId eq 'oid-adele'"],
        ["clientId eq 'sp-1' and consentType eq 'AllPrincipals'"],
    ]
    deleted = directory.calls("DELETE /v1.0/oauth2PermissionGrants/g-1")
    assert [call.headers["Authorization"] for call in deleted] == ["Bearer of-app"]


@pytest.mark.parametrize(
    "foreign",
    [
        {**OWN, "clientId": "sp-of-somebody-else"},
        {**OWN, "principalId": "oid-bob"},
        {**OWN, "principalId": None, "consentType": "AllPrincipals"},
        {},
    ],
)
def test_a_grant_that_is_not_this_persons_is_never_deleted(
    provider: OutlookProvider, directory: Fake, foreign: dict[str, Any]
) -> None:
    directory.on(GRANTS, {"value": [foreign]}, {"value": []})
    assert provider.withdraw_consent(TENANT, "oid-adele").removed == 0
    assert not [call for call in directory.asked if call.method == "DELETE"]


def test_gone_already_is_done(provider: OutlookProvider, directory: Fake) -> None:
    gone = {"error": {"code": "Request_ResourceNotFound", "message": "x"}}
    directory.on("DELETE /v1.0/oauth2PermissionGrants/g-1", (404, gone, {}))
    assert provider.withdraw_consent(TENANT, "oid-adele").removed == 0


@pytest.mark.parametrize(
    ("route", "answer", "expected"),
    [
        (GRANTS, (403, {"error": {"code": "Authorization_RequestDenied", "message": "x"}}, {}), Rejected),
        (GRANTS, (401, {"error": {"code": "InvalidAuthenticationToken", "message": "x"}}, {}), Rejected),
        (GRANTS, (503, b"", {}), Unreachable),
        (GRANTS, (200, b"<html>", {}), Unreachable),
        (f"POST /{TENANT}/oauth2/v2.0/token", (503, b"", {}), Unreachable),
        (
            f"POST /{TENANT}/oauth2/v2.0/token",
            (400, {"error": "unauthorized_client", "error_codes": [700016]}, {}),
            Rejected,
        ),
    ],
)
def test_refusals_are_told_from_trouble(
    provider: OutlookProvider, directory: Fake, route: str, answer: Any, expected: type[Exception]
) -> None:
    directory.on(route, answer)
    with pytest.raises(expected):
        provider.withdraw_consent(TENANT, "oid-adele")


@pytest.mark.parametrize("status", [400, 403, 404, 410, 503])
def test_what_is_raised_means_that_nothing_was_deleted(provider: OutlookProvider, directory: Fake, status: int) -> None:
    trouble = (status, {"error": {"code": "Request_BadRequest", "message": "x"}}, {})
    directory.on(GRANTS, {"value": [OWN]}, trouble)
    with pytest.raises(Unreachable if status == 503 else Rejected):
        provider.withdraw_consent(TENANT, "oid-adele")
    assert not [call for call in directory.asked if call.method == "DELETE"]


TWO = {"value": [OWN, {**OWN, "id": "g-2"}, {**OWN, "id": "g-3"}]}


@pytest.mark.parametrize(
    ("status", "removed", "refused", "trouble"),
    [(400, 2, 1, False), (401, 2, 1, False), (403, 2, 1, False), (404, 2, 0, False), (503, 1, 0, True)],
)
def test_what_was_deleted_before_a_refusal_or_an_outage_is_told(
    provider: OutlookProvider, directory: Fake, status: int, removed: int, refused: int, trouble: bool
) -> None:
    """Of three grants (one for each resource) the second makes trouble."""
    directory.on(GRANTS, TWO, {"value": []})
    answer = (status, {"error": {"code": "Request_BadRequest", "message": "x"}}, {"request-id": "no-2"})
    directory.on("DELETE /v1.0/oauth2PermissionGrants/g-2", answer)
    directory.on("DELETE /v1.0/oauth2PermissionGrants/g-3", (204, b"", {}))
    done = provider.withdraw_consent(TENANT, "oid-adele")
    assert (done.removed, done.refused, done.trouble is not None) == (removed, refused, trouble)
    assert ("no-2" in done.request_ids) is bool(refused), "a refusal has a reference too"
    assert len(done.request_ids) == removed + refused


def test_an_id_cannot_leave_its_filter(provider: OutlookProvider, directory: Fake) -> None:
    provider.withdraw_consent(TENANT, "x' or clientId ne '")
    assert directory.calls(GRANTS)[0].query["$filter"] == [
        "clientId eq 'sp-1' and principalId eq 'x'' or clientId ne '''"
    ]

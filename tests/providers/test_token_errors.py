"""Microsoft's table of token errors, row by row, as a refresh meets them; and those of any other OpenID provider."""

from __future__ import annotations

from typing import Any

import pytest

from portal.providers.base import AccessEnded, AccessReason, Busy, OurFault, ProviderError, Rejected, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.fake import Fake
from tests.providers.genuine import TOKEN


def told(error: str, *codes: int, suberror: str = "") -> dict[str, Any]:
    """An error as Entra words it. The text always tells of something else: it must not be read."""
    body: dict[str, Any] = {
        "error": error,
        "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x",
        "error_codes": list(codes),
        "timestamp": "2026-03-02 09:00:00Z",
        "trace_id": "t",
        "correlation_id": "c",
    }
    return {**body, "suberror": suberror} if suberror else body


def meet(provider: OutlookProvider, fake: Fake, body: Any, status: int = 400, **headers: str) -> ProviderError:
    fake.on(TOKEN, (status, body, headers))
    with pytest.raises(ProviderError) as caught:
        provider.refresh("refresh-1")
    return caught.value


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    error = meet(provider, fake, told("invalid_grant", 65001, suberror="consent_required"))
    assert isinstance(error, AccessEnded) and error.reason is AccessReason.CONSENT_WITHDRAWN
    assert error.request_id == "server-7"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (told("invalid_grant", 50173), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 700082), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 70008), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 70043), AccessReason.SIGN_IN_NEEDED),
        (told("invalid_grant", 65001, suberror="consent_required"), AccessReason.CONSENT_WITHDRAWN),
        (told("invalid_grant", 65001), AccessReason.CONSENT_WITHDRAWN),
        (told("invalid_grant", suberror="consent_required"), AccessReason.CONSENT_WITHDRAWN),
        (told("consent_required"), AccessReason.CONSENT_WITHDRAWN),
        (told("invalid_grant", 70000), AccessReason.CONSENT_WITHDRAWN),
        (told("invalid_grant", 70000, suberror="bad_token"), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 70000, suberror="token_expired"), AccessReason.TOKEN_EXPIRED),
        (told("interaction_required", 50076), AccessReason.SIGN_IN_NEEDED),
        (told("invalid_grant", 50076, suberror="basic_action"), AccessReason.SIGN_IN_NEEDED),
        (told("interaction_required", 50079), AccessReason.SIGN_IN_NEEDED),
        (told("interaction_required", 50074), AccessReason.SIGN_IN_NEEDED),
        (told("interaction_required", 50072), AccessReason.SIGN_IN_NEEDED),
        (told("interaction_required", 50158), AccessReason.SIGN_IN_NEEDED),
        (told("login_required"), AccessReason.SIGN_IN_NEEDED),
        (told("invalid_grant", 50055), AccessReason.SIGN_IN_NEEDED),
        (told("invalid_grant", suberror="user_password_expired"), AccessReason.SIGN_IN_NEEDED),
        (told("invalid_grant", 53000), AccessReason.POLICY_BLOCKS),
        (told("invalid_grant", 53001), AccessReason.POLICY_BLOCKS),
        (told("access_denied", 53002), AccessReason.POLICY_BLOCKS),
        (told("access_denied", 53003), AccessReason.POLICY_BLOCKS),
        (told("interaction_required", 53003), AccessReason.POLICY_BLOCKS),
        (told("invalid_grant", 530032), AccessReason.POLICY_BLOCKS),
        (told("invalid_grant", suberror="protection_policy_required"), AccessReason.POLICY_BLOCKS),
        (told("invalid_grant", suberror="device_authentication_failed"), AccessReason.POLICY_BLOCKS),
        (told("invalid_grant", 50057), AccessReason.ACCOUNT_DISABLED),
        (told("invalid_grant", 50034), AccessReason.ACCOUNT_MISSING),
        (told("invalid_request", 50020), AccessReason.ACCOUNT_MISSING),
        (told("invalid_grant", 51004), AccessReason.ACCOUNT_MISSING),
        (told("unauthorized_client", 700016), AccessReason.APP_REMOVED),
        (told("unauthorized_client", 7000112), AccessReason.APP_REMOVED),
        (told("unauthorized_client", 7000229), AccessReason.APP_REMOVED),
        (told("invalid_client", 7000112), AccessReason.APP_REMOVED),
        (told("invalid_client", 70001), AccessReason.APP_REMOVED),
        (told("invalid_grant", 54005), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 501481), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 50147), AccessReason.TOKEN_EXPIRED),
        (told("invalid_grant", 700005), AccessReason.TOKEN_EXPIRED),
        (told("invalid_scope"), AccessReason.SCOPE_MISSING),
        (told("invalid_grant", 999999), AccessReason.TOKEN_EXPIRED),
        ({"error": "invalid_grant"}, AccessReason.TOKEN_EXPIRED),
        ({"error": "invalid_grant", "error_codes": "50057"}, AccessReason.TOKEN_EXPIRED),
        ({"error": "invalid_grant", "error_codes": [True, None, {}, "50057", "x", 1.5]}, AccessReason.ACCOUNT_DISABLED),
        ({"error": "invalid_grant", "suberror": {"x": 1}, "error_uri": 7}, AccessReason.TOKEN_EXPIRED),
    ],
)
def test_access_that_ended_says_why(
    provider: OutlookProvider, fake: Fake, body: dict[str, Any], reason: AccessReason
) -> None:
    error = meet(provider, fake, body)
    assert isinstance(error, AccessEnded) and error.reason is reason


@pytest.mark.parametrize(
    "body",
    [
        told("invalid_client", 7000215),
        told("invalid_client", 7000222),
        told("invalid_client", 700027),
        told("invalid_client", 50012),
        told("invalid_client", 7000218),
        told("invalid_resource", 500011),
        told("invalid_grant", 700084),
        told("unauthorized_client"),
        told("unsupported_grant_type"),
        told("invalid_request"),
        {"error": "invalid_client"},
    ],
)
@pytest.mark.parametrize("status", [400, 401])
def test_our_own_fault_is_never_the_accounts(
    provider: OutlookProvider, fake: Fake, body: dict[str, Any], status: int
) -> None:
    assert type(meet(provider, fake, body, status)) is OurFault


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (told("temporarily_unavailable", 90033), 400, Unreachable),
        (told("server_error", 90006), 400, Unreachable),
        (told("invalid_grant", 50033), 400, Unreachable),
        (told("server_error", 70012), 400, Unreachable),
        (told("invalid_request", 90055), 400, Unreachable),
        (told("temporarily_unavailable"), 503, Unreachable),
        (told("invalid_grant", 50173), 500, Unreachable),
        (b"", 500, Unreachable),
        (b"<html>", 400, Unreachable),
        ({"message": "no"}, 404, Unreachable),
        ({"error": {"code": "x"}}, 401, Unreachable),
        (told("invalid_grant", 50196), 400, Busy),
        (b"", 429, Busy),
        (told("temporarily_unavailable", 90055), 429, Busy),
        (told("something_new"), 400, Rejected),
    ],
)
def test_what_passes_says_nothing_about_the_account(
    provider: OutlookProvider, fake: Fake, body: Any, status: int, expected: type[ProviderError]
) -> None:
    error = meet(provider, fake, body, status, **{"Retry-After": "2.5"})
    assert type(error) is expected
    assert error.retry_after == (None if expected is Rejected else 2.5)


def test_an_error_is_an_error_under_any_status(provider: OutlookProvider, fake: Fake) -> None:
    assert isinstance(meet(provider, fake, told("invalid_grant", 50057), 200), AccessEnded)

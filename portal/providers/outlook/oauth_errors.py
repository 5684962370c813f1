"""OAuth errors into our family: what the token endpoint says, and what it means for a connection.

RFC 6749 sections 4.1.2.1 and 5.2; Microsoft's additions (`suberror`, `error_codes`):
https://learn.microsoft.com/entra/identity-platform/reference-error-codes
Microsoft changes texts and numbers freely, so `error` and `suberror` decide first; a number in `error_codes` only
refines what would else be "the token is no longer accepted". No text is ever read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from portal.providers.base import (
    AccessEnded,
    AccessReason,
    Busy,
    OurFault,
    ProviderError,
    Rejected,
    Unreachable,
)

TRANSIENT = {90033, 90006, 50033, 70012, 90055}
LOOP = {50196}
APP_REMOVED = {700016, 7000112, 7000229, 70001}
OURS = {7000215, 7000222, 700027, 50012, 7000218, 500011, 700084}
CONSENT = {65001, 90094, 90095}
POLICY = {53000, 53001, 53002, 53003, 530032}
SIGN_IN = {50055, 50076, 50079, 50074, 50072, 50158, 70043}
MISSING = {50034, 50020, 51004}
DISABLED = {50057}
EXPIRED = {50173, 700082, 70008}
BAD_OR_WITHDRAWN = 70000

OUR_ERRORS = {
    "invalid_client",
    "unauthorized_client",
    "invalid_request",
    "unsupported_grant_type",
    "invalid_resource",
    "unsupported_response_type",
}


def codes(answer: Mapping[str, Any]) -> set[int]:
    """The numbers beside an error: `error_codes` in JSON, or `code=` in the address of Microsoft's error page."""
    listed = answer.get("error_codes")
    found = [number for number in listed if not isinstance(number, bool)] if isinstance(listed, list) else []
    uri = answer.get("error_uri")
    if isinstance(uri, str):
        with contextlib.suppress(ValueError):  # not an address
            found += parse_qs(urlsplit(uri).query).get("code", [])
    return {int(number) for number in found if isinstance(number, int) or (str(number).isascii() and _digits(number))}


def _digits(value: object) -> bool:
    return isinstance(value, str) and value.isdigit() and len(value) < 12


def token_error(answer: Mapping[str, Any], status: int, *, retry_after: float | None, request_id: str) -> ProviderError:
    """What a refusal by the token endpoint means for access that we already had."""
    error = str(answer.get("error"))
    passing = passing_error(error, codes(answer), status, retry_after=retry_after, request_id=request_id)
    if passing is not None:
        return passing
    reason = access_reason(error, str(answer.get("suberror") or ""), codes(answer))
    if reason is not None:
        return AccessEnded(reason, request_id=request_id)
    if error in OUR_ERRORS or codes(answer) & OURS:
        return OurFault(request_id=request_id)
    return Rejected(request_id=request_id)


def passing_error(
    error: str, numbers: set[int], status: int, *, retry_after: float | None, request_id: str
) -> ProviderError | None:
    """A refusal that says nothing about the account: wait and try again."""
    if status == 429 or numbers & LOOP:
        return Busy(retry_after=retry_after, request_id=request_id)
    if status >= 500 or error in {"temporarily_unavailable", "server_error"} or numbers & TRANSIENT:
        return Unreachable(retry_after=retry_after, request_id=request_id)
    return None


def access_reason(error: str, suberror: str, numbers: set[int]) -> AccessReason | None:
    """Why access is over, or None when the refusal is about us and not about the account.

    AADSTS70000 is ambiguous: Microsoft sends it for a malformed token and also after a personal account withdrew
    consent. With suberror `bad_token` or `token_expired` it is the token; without one we say consent.
    """
    if error == "consent_required" or suberror == "consent_required":
        return AccessReason.CONSENT_WITHDRAWN
    if numbers & APP_REMOVED:
        return AccessReason.APP_REMOVED
    if error in {"invalid_client", "unauthorized_client"} or numbers & OURS:
        return None
    for found, reason in (
        (CONSENT, AccessReason.CONSENT_WITHDRAWN),
        (POLICY, AccessReason.POLICY_BLOCKS),
        (DISABLED, AccessReason.ACCOUNT_DISABLED),
        (MISSING, AccessReason.ACCOUNT_MISSING),
        (SIGN_IN, AccessReason.SIGN_IN_NEEDED),
        (EXPIRED, AccessReason.TOKEN_EXPIRED),
    ):
        if numbers & found:
            return reason
    if suberror in {"protection_policy_required", "device_authentication_failed"}:
        return AccessReason.POLICY_BLOCKS
    if error in {"interaction_required", "login_required"} or suberror in {
        "basic_action",
        "additional_action",
        "user_password_expired",
    }:
        return AccessReason.SIGN_IN_NEEDED
    if error == "access_denied":
        return AccessReason.POLICY_BLOCKS
    if error == "invalid_scope":
        return AccessReason.SCOPE_MISSING
    if error == "invalid_grant":
        withdrawn = BAD_OR_WITHDRAWN in numbers and suberror not in {"bad_token", "token_expired"}
        return AccessReason.CONSENT_WITHDRAWN if withdrawn else AccessReason.TOKEN_EXPIRED
    return None

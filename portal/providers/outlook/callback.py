"""What a sign-in that failed means to the person who tried: the callback's errors, and a token endpoint's refusal.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#error-response
"""

from __future__ import annotations

from collections.abc import Mapping

from portal.providers.base import (
    AccessEnded,
    AccessReason,
    Busy,
    OurFault,
    ProviderError,
    SignInReason,
    SignInRefused,
    Unreachable,
)
from portal.providers.outlook.oauth_errors import CONSENT, POLICY, codes, passing_error

_REFUSED = {
    AccessReason.CONSENT_WITHDRAWN: SignInReason.ADMIN_APPROVAL_NEEDED,
    AccessReason.POLICY_BLOCKS: SignInReason.POLICY_BLOCKS,
    AccessReason.SCOPE_MISSING: SignInReason.SCOPE_MISSING,
    AccessReason.NO_MAILBOX: SignInReason.NO_MAILBOX,
    AccessReason.TOKEN_EXPIRED: SignInReason.EXPIRED,
    AccessReason.SIGN_IN_NEEDED: SignInReason.EXPIRED,
}


def refused(error: ProviderError) -> ProviderError:
    """A refusal seen from a sign-in under way: there is no access to end yet, only a sign-in that failed."""
    if isinstance(error, AccessEnded):
        return SignInRefused(_REFUSED.get(error.reason, SignInReason.FAILED), request_id=error.request_id)
    if isinstance(error, Unreachable | Busy | OurFault | SignInRefused):
        return error
    return SignInRefused(SignInReason.FAILED, request_id=error.request_id)


def callback_error(answer: Mapping[str, str]) -> ProviderError:
    """What an error in the callback's parameters means (RFC 6749 section 4.1.2.1).

    Whoever presses Cancel at Microsoft comes back with `error_subcode=cancel`; whoever declines, without.
    """
    error, numbers = answer.get("error", ""), codes(answer)
    passing = passing_error(error, numbers, 400, retry_after=None, request_id="")
    if passing is not None:
        return passing
    if error == "consent_required" or answer.get("suberror") == "consent_required" or numbers & CONSENT:
        return SignInRefused(SignInReason.ADMIN_APPROVAL_NEEDED)
    if numbers & POLICY:
        return SignInRefused(SignInReason.POLICY_BLOCKS)
    if error == "access_denied":
        cancelled = answer.get("error_subcode") == "cancel"
        return SignInRefused(SignInReason.CANCELLED if cancelled else SignInReason.DECLINED)
    if error in {"interaction_required", "login_required"}:
        return SignInRefused(SignInReason.EXPIRED)
    if error in {"unauthorized_client", "invalid_client"}:
        return OurFault()
    return SignInRefused(SignInReason.FAILED)

"""Entra's errors: AADSTS numbers, the OAuth `error` each goes with, and the two shapes they are told in.

Follows https://learn.microsoft.com/entra/identity-platform/reference-error-codes. The texts are our own; clients are
told not to read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..ids import new_id

# number: (error, text)
CODES: dict[int, tuple[str, str]] = {
    16000: ("interaction_required", "Several accounts are signed in, and none was named."),
    50011: ("invalid_request", "The redirect URI does not match any that is registered for the application."),
    50012: ("invalid_client", "The client assertion's signature could not be verified."),
    50013: ("invalid_grant", "The assertion is not valid."),
    50020: ("invalid_request", "The account does not exist in this tenant and cannot use the application there."),
    50033: ("temporarily_unavailable", "The service met an error that passes by itself."),
    50034: ("invalid_grant", "The account does not exist in this directory."),
    50053: ("invalid_grant", "The account is locked."),
    50055: ("invalid_grant", "The password has expired."),
    50057: ("invalid_grant", "The account is disabled."),
    50058: ("login_required", "A silent sign-in was asked for, but nobody is signed in."),
    50072: ("interaction_required", "The account must enrol in multi-factor authentication."),
    50074: ("interaction_required", "Strong authentication is required."),
    50076: ("interaction_required", "Multi-factor authentication is required, by a setting of the administrator."),
    50079: ("interaction_required", "The account must enrol in multi-factor authentication."),
    50105: ("access_denied", "The account was not assigned a role for the application."),
    50147: ("invalid_grant", "The code verifier has the wrong size or characters."),
    50158: ("interaction_required", "An external security challenge was not met."),
    50173: ("invalid_grant", "The grant was revoked: a fresh sign-in is needed."),
    50196: ("invalid_grant", "The client made the same request over and over."),
    51004: ("invalid_grant", "The account does not exist in this directory."),
    53000: ("access_denied", "Conditional Access asks for a compliant device."),
    53001: ("access_denied", "Conditional Access asks for a domain-joined device."),
    53002: ("access_denied", "Conditional Access asks for an approved application."),
    53003: ("access_denied", "Conditional Access blocks the issue of a token."),
    530032: ("access_denied", "The organisation's security policy blocks access."),
    54005: ("invalid_grant", "The authorization code was already redeemed."),
    65001: ("invalid_grant", "Neither the person nor an administrator has consented to the application."),
    65004: ("access_denied", "The person declined to consent to the application."),
    70000: ("invalid_grant", "The grant is not valid: its scopes are unauthorised or expired."),
    70001: ("unauthorized_client", "The application is disabled."),
    70002: ("invalid_client", "The credentials could not be validated."),
    70003: ("unsupported_grant_type", "The grant type is not supported."),
    70007: ("unsupported_response_mode", "The response mode is not supported for this response type."),
    70008: ("invalid_grant", "The authorization code or refresh token has expired."),
    70011: ("invalid_scope", "The scope is not valid."),
    70012: ("server_error", "The service met an error that passes by itself."),
    70016: ("authorization_pending", "The person has not finished signing in."),
    70018: ("bad_verification_code", "The device code is not known."),
    70020: ("expired_token", "The device code has expired."),
    70043: ("invalid_grant", "The refresh token has expired by Conditional Access' sign-in frequency."),
    90002: ("invalid_request", "The tenant was not found."),
    90006: ("server_error", "An external server met an error that passes by itself."),
    90009: ("invalid_request", "An application asks for a token to itself."),
    900144: ("invalid_request", "The request lacks a required parameter."),
    90033: ("temporarily_unavailable", "A service this one depends on is unavailable for a moment."),
    90055: ("temporarily_unavailable", "Too many requests at this moment."),
    90094: ("access_denied", "An administrator must consent to these permissions."),
    90095: ("access_denied", "An administrator must consent; the request was sent."),
    9002313: ("invalid_request", "The request is malformed."),
    9002326: ("invalid_request", "Redemption from a browser is only for single-page applications."),
    500011: ("invalid_resource", "The resource principal was not found in the tenant."),
    500112: ("invalid_client", "The reply address differs from the one in the authorization request."),
    500133: ("invalid_grant", "The assertion is not within its valid time range."),
    501051: ("access_denied", "The application has no role in this tenant."),
    501481: ("invalid_grant", "The code verifier does not match the code challenge."),
    650053: ("invalid_scope", "The application asks for a scope that the resource does not have."),
    650056: ("access_denied", "The application is misconfigured for this scope."),
    700003: ("invalid_grant", "The device was not found."),
    700005: ("invalid_grant", "The authorization code is meant for another tenant."),
    700016: ("unauthorized_client", "The application was not found in the directory."),
    700025: ("invalid_client", "The client is public and must not send a secret."),
    700027: ("invalid_client", "The client assertion failed its signature or date check."),
    700051: ("unsupported_response_type", "The response type is not enabled for the application."),
    700054: ("unsupported_response_type", "The response type id_token is not enabled for the application."),
    700082: ("invalid_grant", "The refresh token has expired: it was not used for 90 days."),
    700084: ("invalid_grant", "The refresh token was issued to a single-page application and has ended."),
    7000112: ("unauthorized_client", "The application is disabled in this tenant."),
    7000215: ("invalid_client", "The client secret is wrong."),
    7000216: ("invalid_client", "The client must authenticate with a secret or an assertion."),
    7000218: ("invalid_client", "The request must carry client_assertion or client_secret."),
    7000222: ("invalid_client", "The client secret has expired."),
    7000229: ("unauthorized_client", "The application has no service principal in this tenant."),
}
TRANSIENT = {50033: 503, 70012: 500, 90006: 500, 90033: 503, 90055: 429}
# Microsoft's error page knows these, so the answer names it.
EXPLAINED = {50011, 54005, 65001, 65004, 70008, 700016, 700027, 7000215, 7000222, 50173, 50076, 90094, 900144, 9002313}


@dataclass
class IdentityError(Exception):
    """An AADSTS error on its way out. `detail` is added to the usual text; `claims` is what a step-up must satisfy."""

    code: int
    detail: str = ""
    suberror: str = ""
    error: str = ""
    claims: str = ""

    def __post_init__(self) -> None:
        self.error = self.error or CODES.get(self.code, ("invalid_request", ""))[0]
        if self.code == 65001 and not self.suberror:
            self.suberror = "consent_required"

    @property
    def status(self) -> int:
        """401 for a client that is not who it says, 400 for the rest, 429/5xx for what passes by itself."""
        return TRANSIENT.get(self.code, 401 if self.error == "invalid_client" else 400)

    def sentence(self) -> str:
        text = CODES.get(self.code, ("", "The request failed."))[1]
        return f"AADSTS{self.code}: {text}{' ' + self.detail if self.detail else ''}"

    def description(self, now: datetime, trace: str, correlation: str) -> str:
        """The sentence and the three lines that Entra puts under it."""
        lines = (f"Trace ID: {trace}", f"Correlation ID: {correlation}", f"Timestamp: {now:%Y-%m-%d %H:%M:%SZ}")
        return "\r\n".join((self.sentence(), *lines))

    def document(self, now: datetime, correlation: str, origin: str) -> dict[str, Any]:
        """The JSON of a failed token request."""
        trace, correlation = new_id(), correlation or new_id()
        told: dict[str, Any] = {
            "error": self.error,
            "error_description": self.description(now, trace, correlation),
            "error_codes": [self.code],
            "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": trace,
            "correlation_id": correlation,
        }
        if self.code in EXPLAINED:
            told["error_uri"] = f"{origin}/error?code={self.code}"
        if self.suberror:
            told["suberror"] = self.suberror
        if self.claims:
            told["claims"] = self.claims
        return told

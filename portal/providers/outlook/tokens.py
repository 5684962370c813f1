"""The token endpoint through Authlib: redeem a code, refresh, revoke. Each call has a session of its own.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#redeem-a-code-for-an-access-token
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session

from portal.providers.base import AccessEnded, ProviderError, Rejected, Tokens, Unreachable
from portal.providers.outlook.certificate import Certificate
from portal.providers.outlook.discovery import Discovery, Metadata
from portal.providers.outlook.http import Json, Line, log, note, parse_object
from portal.providers.outlook.token_answer import judge, read_tokens

SCOPES = ("openid", "profile", "offline_access", "User.Read", "Calendars.ReadWrite")
"""Everything we ask for, by short name. Never the `cp1` capability: it would make access tokens live up to 28 hours."""


@dataclass(frozen=True)
class TokenClient:
    """Our registration at the authority, and the calls it may make there."""

    line: Line
    discovery: Discovery
    client_id: str
    client_secret: str = field(repr=False)
    certificate: Certificate | None = None

    def session(self, metadata: Metadata, redirect_uri: str | None = None) -> Any:
        """An Authlib session that speaks as our client and forces PKCE S256, announced or not.

        With a certificate it proves itself by that, else by the secret, in the way that the metadata offers.
        """
        by_certificate = self.certificate.sign if self.certificate else None
        return OAuth2Session(
            client_id=self.client_id,
            client_secret=self.client_secret,
            scope=" ".join(SCOPES),
            redirect_uri=redirect_uri,
            token_endpoint_auth_method=by_certificate or metadata.token_auth,
            revocation_endpoint_auth_method=by_certificate or metadata.revocation_auth,
            code_challenge_method="S256",
        )

    def redeem(self, code: str, redirect_uri: str, code_verifier: str) -> tuple[Tokens, Json]:
        """Exchange a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5): the tokens, and the whole answer."""
        metadata = self.discovery.metadata()
        answer = self._call(
            "redeem code",
            metadata,
            lambda session: session.fetch_token(
                metadata.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=code_verifier,
                redirect_uri=redirect_uri,
                scope=" ".join(SCOPES),
            ),
        )
        return read_tokens(answer, SCOPES, self.line.now()), answer

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token (RFC 6749 section 6). The old one stays alive at Microsoft: destroy it.

        https://learn.microsoft.com/entra/identity-platform/refresh-tokens
        """
        metadata = self.discovery.metadata()
        answer = self._call(
            "refresh",
            metadata,
            lambda session: session.refresh_token(metadata.token_endpoint, refresh_token=refresh_token),
        )
        return read_tokens(answer, SCOPES, self.line.now())

    def of_application(self, scope: str) -> str:
        """An access token of the application itself, for no person (RFC 6749 section 4.4). Nobody stores it.

        https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        """
        metadata = self.discovery.metadata()
        answer = self._call(
            "application token",
            metadata,
            lambda session: session.fetch_token(metadata.token_endpoint, grant_type="client_credentials", scope=scope),
        )
        return read_tokens(answer, (), self.line.now()).access_token

    def revoke(self, token: str, hint: str) -> None:
        """Revoke a token (RFC 7009 section 2.1). Microsoft has no such endpoint; other OpenID providers do."""
        metadata = self.discovery.metadata()
        if not metadata.revocation_endpoint:
            raise Rejected("This provider offers no revocation.")
        try:
            self._call(
                "revoke",
                metadata,
                lambda session: session.revoke_token(metadata.revocation_endpoint, token=token, token_type_hint=hint),
            )
        except AccessEnded as error:  # an RFC 6749 refusal; here it ends nothing, it only did not revoke
            raise Rejected(request_id=error.request_id) from None

    def _call(self, name: str, metadata: Metadata, make: Callable[[Any], Any]) -> Json:
        """Make one call; its answer is judged here, before Authlib's own and less telling reading of it."""
        session = self.session(metadata)
        call_id = self.line.prepare(session)
        answer: list[requests.Response] = []

        def keep(response: requests.Response, **_: Any) -> None:
            answer.append(response)
            note(name, response, call_id)
            judge(response, self.line.now())

        session.hooks["response"].append(keep)
        failure: ProviderError | None = None
        try:
            make(session)
        except ProviderError as error:
            failure = error
            failure.request_id = failure.request_id or call_id
            if not answer:
                log.warning("%s: no usable answer (client-request-id %s)", name, call_id)
        except (AuthlibBaseError, requests.RequestException, ValueError, TypeError, KeyError, RecursionError):
            failure = Unreachable("Microsoft's answer makes no sense.", request_id=call_id)
        if failure is not None:
            raise failure  # outside the except block: the cause may quote what was sent
        if is_a_page(answer[0].content):
            raise Unreachable("Microsoft's answer makes no sense.", request_id=call_id)
        return parse_object(answer[0].content) or {}


def is_a_page(content: bytes) -> bool:
    """Neither JSON nor empty, but somebody's in between: RFC 7009 section 2.2 asks no more than 200 of a revocation."""
    return content.lstrip()[:1] == b"<"

"""Find out later, without any token of ours, whether a person's consent still stands.

The person's own browser asks Microsoft for a code with `prompt=none`: nothing is shown. A code means that consent
stands; it is thrown away unredeemed. https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from portal.providers.base import ConsentFinding, SignIn
from portal.providers.outlook.oauth_errors import CONSENT, codes
from portal.providers.outlook.tokens import TokenClient


def begin(client: TokenClient, redirect_uri: str) -> SignIn:
    """The silent request. Its verifier exists only so that nobody else could redeem the code either."""
    metadata = client.discovery.metadata()
    state, nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    url, _ = client.session(metadata, redirect_uri).create_authorization_url(
        metadata.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce, prompt="none"
    )
    return SignIn(url=url, state=state, nonce=nonce, code_verifier=verifier)


def read(answer: Mapping[str, str]) -> ConsentFinding:
    """What came back. Only a plain word about consent counts; "sign in first" or "which account?" tell nothing."""
    if answer.get("code") and not answer.get("error"):
        return ConsentFinding.STILL_THERE
    if answer.get("error") == "consent_required" or answer.get("suberror") == "consent_required":
        return ConsentFinding.WITHDRAWN
    if codes(answer) & CONSENT:
        return ConsentFinding.WITHDRAWN
    return ConsentFinding.UNKNOWN

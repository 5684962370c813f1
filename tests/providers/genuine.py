"""What a well-behaved authority hands out: discovery, keys, id_tokens and token answers, each part changeable."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey

CLIENT_ID = "portal-client"
CLIENT_SECRET = "portal-secret-of-the-tests"
REDIRECT = "http://127.0.0.1:8000/integrations/outlook-calendar/callback"
TENANT = "11111111-2222-4333-8444-555555555555"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

DISCOVERY = "GET /common/v2.0/.well-known/openid-configuration"
KEYS = "GET /common/discovery/v2.0/keys"
TOKEN = "POST /common/oauth2/v2.0/token"
REVOKE = "POST /common/oauth2/v2.0/revoke"


def discovery(url: str, **changed: Any) -> dict[str, Any]:
    """A discovery document as Microsoft's `common` has it. A field set to None is left out."""
    return _changed(
        {
            "issuer": f"{url}/{{tenantid}}/v2.0",
            "authorization_endpoint": f"{url}/common/oauth2/v2.0/authorize",
            "token_endpoint": f"{url}/common/oauth2/v2.0/token",
            "jwks_uri": f"{url}/common/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        },
        changed,
    )


_KEYS: dict[str, RSAKey] = {}


def key(kid: str = "key-1") -> RSAKey:
    """A signing key of the test's own, made once per run."""
    if kid not in _KEYS:
        _KEYS[kid] = RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})
    return _KEYS[kid]


def public_key(kid: str = "key-1", **extra: Any) -> dict[str, Any]:
    """The public half, as a JWKS shows it."""
    return {**key(kid).as_dict(private=False), **extra}


def id_token(url: str, nonce: str, /, *, kid: str | None = "key-1", sign_with: str = "key-1", **changed: Any) -> str:
    """A genuine id_token for Adele, unless changed. A claim set to None is left out."""
    now = int(NOW.timestamp())
    claims = {
        "iss": f"{url}/{TENANT}/v2.0",
        "aud": CLIENT_ID,
        "iat": now,
        "nbf": now,
        "exp": now + 3600,
        "sub": "pairwise-adele",
        "tid": TENANT,
        "oid": "oid-adele",
        "preferred_username": "adele@contoso.example",
        "name": "Adele Vance",
    }
    header = {"alg": "RS256"} if kid is None else {"alg": "RS256", "kid": kid}
    return jws.serialize_compact(header, json.dumps(_changed({**claims, "nonce": nonce}, changed)), key(sign_with))


def token_answer(**changed: Any) -> dict[str, Any]:
    """A successful answer of the token endpoint. A field set to None is left out."""
    return _changed(
        {
            "token_type": "Bearer",
            "scope": "openid profile https://graph.microsoft.com/User.Read https://graph.microsoft.com/Calendars.ReadWrite",
            "expires_in": 3599,
            "access_token": "access-1",
            "refresh_token": "refresh-1",
        },
        changed,
    )


def _changed(whole: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**whole, **changed}.items() if value is not None}

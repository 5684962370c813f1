"""Whether an id_token is genuine, and whose it is.

OpenID Connect Core 1.0 section 3.1.3.7; Microsoft's templated issuer and per-key issuers:
https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer
"""

from __future__ import annotations

import contextlib
import hmac
from datetime import datetime
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from portal.providers.base import Account, AccountKind, SignInReason, SignInRefused
from portal.providers.outlook.discovery import Discovery
from portal.providers.outlook.http import Json
from portal.providers.outlook.shape import text

PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
"""The tenant of all personal accounts: https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference"""

SKEW = 300  # seconds that clocks may differ


def validate(token: object, discovery: Discovery, *, client_id: str, nonce: str, now: datetime) -> Json:
    """The claims of a genuine id_token. Raises SignInRefused(NOT_GENUINE) for any other."""
    if not isinstance(token, str):
        raise _not_genuine()
    key = _key_for(token, discovery)
    claims: dict[str, Any] | None = None
    try:
        claims = jwt.decode(token, RSAKey.import_key(dict(key)), algorithms=["RS256"]).claims
        jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=SKEW,
            iss={"essential": True},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            nonce={"essential": True},
            sub={"essential": True},
        ).validate(claims)
    except (JoseError, ValueError, TypeError, KeyError, OverflowError):
        claims = None
    if claims is None or not _same(claims.get("nonce"), nonce):
        raise _not_genuine()
    if claims.get("azp", client_id) != client_id:
        raise _not_genuine()
    tenant = text(claims.get("tid"))
    for template in (discovery.metadata().issuer, key.get("issuer", claims["iss"])):
        if not isinstance(template, str) or claims["iss"] != _issuer(template, tenant):
            raise _not_genuine()
    return claims


def account(claims: Json, *, address: str = "", name: str = "") -> Account:
    """Whose token it is: keyed by (tid, oid) at Microsoft, by (issuer, sub) at a provider without tenants."""
    tenant = text(claims.get("tid"))
    subject = (text(claims.get("oid")) if tenant else "") or text(claims.get("sub"))
    if not subject:
        raise _not_genuine()
    return Account(
        tenant=tenant or text(claims.get("iss")),
        subject=subject,
        address=text(claims.get("preferred_username")) or address,
        name=text(claims.get("name")) or name,
        kind=AccountKind.PERSONAL if tenant == PERSONAL_TENANT else AccountKind.WORK,
    )


def _key_for(token: str, discovery: Discovery) -> Json:
    """The key that the token's header names; the keys are fetched again once when nobody knows it (key rollover)."""
    header: Any = None
    with contextlib.suppress(JoseError, ValueError, TypeError):  # judged below
        header = jws.extract_compact(token.encode("ascii")).headers()
    if not isinstance(header, dict) or header.get("alg") != "RS256":
        raise _not_genuine()
    for anew in (False, True):
        usable = [
            key for key in discovery.keys(anew=anew) if key.get("kty") == "RSA" and key.get("use") in {None, "sig"}
        ]
        named = [key for key in usable if key.get("kid") == header.get("kid")] if "kid" in header else usable
        if len(named) == 1:
            return named[0]
    raise _not_genuine()


def _issuer(template: str, tenant: str) -> str:
    return template.replace("{tenantid}", tenant) if tenant else template


def _same(found: object, expected: str) -> bool:
    return (
        isinstance(found, str)
        and bool(expected)
        and hmac.compare_digest(found.encode(errors="replace"), expected.encode())
    )


def _not_genuine() -> SignInRefused:
    return SignInRefused(SignInReason.NOT_GENUINE)

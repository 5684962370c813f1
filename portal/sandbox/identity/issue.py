"""Making the tokens of one answer, and remembering what was issued."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from ..context import login_origin, now, storage
from ..ids import GRAPH_APP, digest, new_id, new_secret
from ..records.identity import AccessToken, Client, Person, RefreshToken, ServicePrincipal
from .answer import client_info
from .discovery import keys
from .keys import b64url
from .scopes import OIDC, spell

IDLE = timedelta(days=90)
CAE_LIFE = timedelta(hours=28)


def subject(person: Person, client: str) -> str:
    """The pairwise `sub`: another one for every application."""
    return b64url(hashlib.sha256(f"{person.oid}/{client}".encode()).digest())


def lifetime() -> timedelta:
    """60 to 90 minutes, drawn afresh each time.

    https://learn.microsoft.com/entra/identity-platform/configurable-token-lifetimes#access-tokens
    """
    return timedelta(seconds=3600 + secrets.randbelow(1800))


def wants_cae(claims: str) -> bool:
    """Whether a `claims` parameter declares the client able to answer claims challenges (`cp1`)."""
    try:
        asked = json.loads(claims or "{}").get("access_token", {}).get("xms_cc", {}).get("values", [])
    except (ValueError, AttributeError):
        return False
    return "cp1" in {str(value).lower() for value in asked}


def answer(
    person: Person,
    client: str,
    asked: tuple[str, ...],
    qualified: str,
    *,
    nonce: str = "",
    info: bool = False,
    claims: str = "",
) -> dict[str, Any]:
    """The 200 of the token endpoint for a person.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#successful-response-2
    Organisations get every scope consented so far, personal accounts those they asked for; what the desk withholds
    is missing from both.
    """
    held = storage().consented(person, client)
    personal = storage().tenants[person.tid].personal
    granted = (held & frozenset(asked) if personal else held - (frozenset(OIDC) - frozenset(asked))) - person.withheld
    cae = wants_cae(claims) and not personal
    life = CAE_LIFE if cae else lifetime()
    told: dict[str, Any] = {
        "token_type": "Bearer",
        "scope": spell(granted, qualified),
        "expires_in": int(life.total_seconds()),
        "ext_expires_in": int(life.total_seconds()),
        "access_token": _access_token(person, client, granted, now() + life, cae, claims),
    }
    if cae:
        told["refresh_in"] = int(life.total_seconds()) // 2
    if "offline_access" in asked:
        told["refresh_token"] = _refresh_token(person, client, asked)
    if "openid" in asked:
        told["id_token"] = id_token(person, client, granted, nonce)
    if info:
        told["client_info"] = client_info(person)
    return told


def _access_token(person: Person, client: str, scopes: frozenset[str], expires: datetime, cae: bool, asked: str) -> str:
    if storage().tenants[person.tid].personal:
        token = "EwB" + base64.b64encode(secrets.token_bytes(720)).decode()
    else:
        claims = {
            "aud": GRAPH_APP,
            "iss": f"https://sts.windows.net/{person.tid}/",
            "iat": int(now().timestamp()),
            "nbf": int(now().timestamp()),
            "exp": int(expires.timestamp()),
            "app_displayname": storage().clients[client].name,
            "appid": client,
            "idtyp": "user",
            "name": person.name,
            "oid": person.oid,
            "scp": " ".join(sorted(scopes - {"offline_access"})),
            "sub": subject(person, GRAPH_APP),
            "tid": person.tid,
            "upn": person.address,
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
            **({"xms_cc": ["CP1"]} if cae else {}),
        }
        token = keys().signer(person.tid).sign(claims, nonce=secrets.token_urlsafe(32))
    held = AccessToken(client, person.tid, person.oid, now(), expires, scopes, cae=cae, claims=asked)
    return keep_access_token(token, held)


def keep_access_token(token: str, held: AccessToken) -> str:
    with storage().lock:
        storage().access_tokens[digest(token)] = held
    return token


def _refresh_token(person: Person, client: str, scopes: tuple[str, ...]) -> str:
    personal = storage().tenants[person.tid].personal
    token = new_secret("M.C507_BAY.0.U.-" if personal else "1.AXkA", 180)
    with storage().lock:
        storage().refresh_tokens[digest(token)] = RefreshToken(client, person.oid, now(), now(), scopes)
    return token


def id_token(person: Person, client: str, scopes: frozenset[str], nonce: str, code: str = "") -> str:
    """https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference

    `c_hash` comes only from /authorize, together with a code.
    """
    moment = int(now().timestamp())
    claims: dict[str, Any] = {
        "aud": client,
        "iss": f"{login_origin()}/{person.tid}/v2.0",
        "iat": moment,
        "nbf": moment,
        "exp": moment + 3600,
        "aio": secrets.token_urlsafe(48),
        "rh": secrets.token_urlsafe(24) + ".",
        "sid": new_id(),
        "sub": subject(person, client),
        "tid": person.tid,
        "uti": secrets.token_urlsafe(16),
        "ver": "2.0",
    }
    if nonce:
        claims["nonce"] = nonce
    if code:
        claims["c_hash"] = b64url(hashlib.sha256(code.encode()).digest()[:16])
    if "profile" in scopes:
        claims |= {"name": person.name, "oid": person.oid, "preferred_username": person.address}
    if "email" in scopes:
        claims["email"] = person.address
    return keys().signer(person.tid).sign(claims)


def for_application(tid: str, client: Client, principal: ServicePrincipal) -> dict[str, Any]:
    """The 200 of the token endpoint for the application itself: no refresh token, no id_token."""
    life = timedelta(seconds=3599)
    roles = frozenset(principal.app_roles.values())
    moment = int(now().timestamp())
    claims = {
        "aud": GRAPH_APP,
        "iss": f"https://sts.windows.net/{tid}/",
        "iat": moment,
        "nbf": moment,
        "exp": moment + 3599,
        "appid": client.id,
        "idtyp": "app",
        "oid": principal.id,
        "roles": sorted(roles),
        "sub": principal.id,
        "tid": tid,
        "ver": "1.0",
    }
    token = keys().signer(tid).sign(claims, nonce=secrets.token_urlsafe(32))
    held = AccessToken(client.id, tid, "", now(), now() + life, frozenset(), roles=roles)
    return {
        "token_type": "Bearer",
        "expires_in": 3599,
        "ext_expires_in": 3599,
        "access_token": keep_access_token(token, held),
    }

"""Client authentication at the token endpoint: secret in the body, Basic header, or a signed assertion."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import unquote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from flask import request
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from ..context import login_origin, now, storage
from ..ids import digest
from ..records.identity import Client
from .errors import IdentityError
from .keys import b64url

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def authenticate(segment: str) -> Client:
    """The client that proves itself in this request. Raises IdentityError.

    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-access-token-with-a-client_secret
    Leaves out federated credentials.
    """
    form = request.form
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if request.headers.get("Authorization", "").startswith("Basic "):
        client_id, secret = _basic(request.headers["Authorization"])
    if form.get("client_assertion") and not client_id:
        client_id = str(_unverified(form["client_assertion"]).get("sub", ""))
    if not client_id:
        raise IdentityError(900144, "Missing: client_id.")
    client = storage().clients.get(client_id.lower())
    if client is None:
        raise IdentityError(700016, f"Application '{client_id}' is not registered.")
    if (secret or form.get("client_assertion")) and request.headers.get("Origin"):
        raise IdentityError(9002326)
    if form.get("client_assertion"):
        _check_assertion(client, form["client_assertion"], form.get("client_assertion_type", ""), segment)
    elif secret:
        _check_secret(client, secret)
    else:
        raise IdentityError(7000218)
    return client


def _basic(header: str) -> tuple[str, str]:
    try:
        name, _, secret = base64.b64decode(header[6:]).decode().partition(":")
    except ValueError as broken:
        raise IdentityError(7000216) from broken
    return unquote_plus(name), unquote_plus(secret)


def _check_secret(client: Client, secret: str) -> None:
    for known in client.secrets:
        if known.digest == digest(secret):
            if known.expires and known.expires <= now():
                raise IdentityError(7000222)
            return
    raise IdentityError(7000215)


def _unverified(token: str, part: int = 1) -> dict[str, Any]:
    try:
        piece = token.split(".")[part]
        read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)))
    except (IndexError, ValueError) as broken:
        raise IdentityError(700027, "The assertion is not a JWT.") from broken
    return read if isinstance(read, dict) else {}


class Roomy(jws.JWSRegistry):
    """A header may carry the whole certificate chain."""

    max_header_length = 16_384


def thumbprints(certificate: x509.Certificate) -> set[str]:
    """The base64url thumbprints a client may name a certificate by: SHA-256, and SHA-1 as older libraries do."""
    return {b64url(certificate.fingerprint(kind)) for kind in (hashes.SHA256(), hashes.SHA1())}  # noqa: S303


def _check_assertion(client: Client, token: str, kind: str, segment: str) -> None:
    """https://learn.microsoft.com/entra/identity-platform/certificate-credentials

    Accepts RS256 as well as PS256, and the SHA-1 thumbprint (`x5t`) as well as `x5t#S256`: older libraries send those.
    """
    if kind != ASSERTION:
        raise IdentityError(900144, f"client_assertion_type must be {ASSERTION}.")
    header = _unverified(token, 0)
    prints = {str(header.get(name)).rstrip("=") for name in ("x5t#S256", "x5t")}
    known = [x509.load_pem_x509_certificate(pem.encode()) for pem in client.certificates]
    found = next((certificate for certificate in known if prints & thumbprints(certificate)), None)
    if found is None:
        raise IdentityError(700027, "No registered certificate has this thumbprint.")
    public = found.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        claims = jwt.decode(token, RSAKey.import_key(public), registry=Roomy(algorithms=["PS256", "RS256"])).claims
    except (JoseError, ValueError) as bad:
        raise IdentityError(700027, "The signature does not fit the certificate.") from bad
    if claims.get("iss") != client.id or claims.get("sub") != client.id:
        raise IdentityError(50012, "iss and sub must both be the client id.")
    at = f"{login_origin()}/"
    if not str(claims.get("aud", "")).startswith(at):
        raise IdentityError(50012, f"aud must be this tenant's token endpoint, below {at}{segment}.")
    moment = now().timestamp()
    if not float(claims.get("nbf", 0)) - 300 <= moment < float(claims.get("exp", 0)) + 300:
        raise IdentityError(700027, "The assertion is not within its valid time range.")

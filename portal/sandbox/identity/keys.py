"""Signing keys, and the tokens signed with them.

Follows https://learn.microsoft.com/entra/identity-platform/access-tokens (per-key issuer, key rollover). As with
Graph's real access tokens, ours carry a `nonce` header that is hashed before signing, so nobody but Graph can verify
them: clients must treat them as opaque.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from joserfc import jws
from joserfc.jwk import RSAKey

from ..ids import CONSUMERS


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class SigningKey:
    """An RSA key with the self-signed certificate that JWKS shows beside it."""

    def __init__(self) -> None:
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts.accesscontrol.windows.net")])
        today = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - timedelta(days=1))
            .not_valid_after(today + timedelta(days=5 * 365))
            .sign(private, hashes.SHA256())
        )
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.key = RSAKey.import_key(pem)
        self.kid = b64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303  x5t is SHA-1 by definition
        self.x5c = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()

    def public(self, issuer: str) -> dict[str, Any]:
        """The JWKS entry."""
        numbers = self.key.as_dict(private=False)
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.kid,
            "x5t": self.kid,
            "n": numbers["n"],
            "e": numbers["e"],
            "x5c": [self.x5c],
            "cloud_instance_name": "microsoftonline.com",
            "issuer": issuer,
        }

    def sign(self, claims: dict[str, Any], nonce: str = "") -> str:
        """A compact JWT; with `nonce`, one that only its audience can verify."""
        header: dict[str, Any] = {"typ": "JWT", "alg": "RS256", "x5t": self.kid, "kid": self.kid}
        hashed = {**header, "nonce": b64url(hashlib.sha256(nonce.encode()).digest())} if nonce else header
        registry = jws.JWSRegistry(strict_check_header=False)
        token = jws.serialize_compact(hashed, json.dumps(claims), self.key, registry=registry)
        if nonce:
            shown = b64url(json.dumps({**header, "nonce": nonce}).encode())
            return ".".join((shown, *token.split(".")[1:]))
        return token


class KeyRing:
    """The keys of one sandbox, made at first need: organisations share one line of keys, personal accounts have theirs.

    The newest key of a line signs; the one before it stays published, so tokens signed before a rollover still verify.
    """

    def __init__(self) -> None:
        self._lines: dict[bool, list[SigningKey]] = {}
        self._lock = threading.Lock()

    def line(self, personal: bool) -> list[SigningKey]:
        with self._lock:  # a key takes 0.1 s of computing: each line's first one is made once
            if personal not in self._lines:
                self._lines[personal] = [SigningKey()]
            return self._lines[personal]

    def signer(self, tid: str) -> SigningKey:
        return self.line(tid == CONSUMERS)[0]

    def roll(self, forget: bool = False) -> None:
        """Put a new key in front of each line; `forget` drops the old ones at once (an emergency rollover)."""
        for personal in (False, True):
            self._lines[personal] = [SigningKey(), *([] if forget else self.line(personal)[:1])]

    def published(self, origin: str, personal: bool | None) -> list[dict[str, Any]]:
        """JWKS entries: of one line, or of both (`personal` None, for the shared authorities)."""
        entries: list[dict[str, Any]] = []
        for line in (False, True) if personal is None else (personal,):
            issuer = f"{origin}/{CONSUMERS if line else '{tenantid}'}/v2.0"
            entries += [key.public(issuer) for key in self.line(line)]
        return entries

"""Prove who we are with a certificate instead of a secret: a short-lived signed assertion for each call.

RFC 7523 section 2.2; https://learn.microsoft.com/entra/identity-platform/certificate-credentials
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authlib.common.urls import add_params_to_qs
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from joserfc import jwt
from joserfc.jwk import RSAKey

KIND = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFE = 300  # seconds; Microsoft advises five to ten minutes


@dataclass(frozen=True)
class Certificate:
    """Our certificate and its private key. Used by Authlib as a method of client authentication (`sign`)."""

    client_id: str
    key: RSAKey = field(repr=False)
    thumbprint: str
    now: Callable[[], datetime] = field(repr=False)

    @classmethod
    def read(cls, client_id: str, pem: bytes, now: Callable[[], datetime]) -> Certificate:
        """From one PEM text with both parts in it, in whichever order. `portal.config` has refused unfit ones."""
        digest = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
        return cls(client_id, RSAKey.import_key(pem), base64.urlsafe_b64encode(digest).decode().rstrip("="), now)

    def assertion(self, audience: str) -> str:
        """A fresh assertion for one call to `audience`, the token endpoint itself."""
        moment = int(self.now().timestamp())
        claims = {
            "aud": audience,
            "iss": self.client_id,
            "sub": self.client_id,
            "jti": str(uuid.uuid4()),
            "nbf": moment,
            "iat": moment,
            "exp": moment + LIFE,
        }
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint}
        return jwt.encode(header, claims, self.key, algorithms=["PS256"])

    def sign(
        self, _client: Any, _method: str, uri: str, headers: MutableMapping[str, str], body: str | None
    ) -> tuple[str, MutableMapping[str, str], str]:
        """Put an assertion into the body of a call."""
        signed = [
            ("client_id", self.client_id),
            ("client_assertion_type", KIND),
            ("client_assertion", self.assertion(uri)),
        ]
        body = str(add_params_to_qs(body or "", signed))
        if "Content-Length" in headers:
            headers["Content-Length"] = str(len(body))
        return uri, headers, body

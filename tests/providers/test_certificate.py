"""Proving ourselves with a certificate: what the assertion says, and that the sandbox takes it at each grant."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import RSAKey

from portal.providers.base import OurFault
from portal.providers.outlook.outlook import OutlookProvider
from portal.sandbox.server import Server
from tests.providers import person
from tests.providers.fake import Fake
from tests.providers.genuine import CLIENT_ID, NOW, TOKEN, token_answer
from tests.test_config import pem


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Private key and certificate, as an operator keeps them in one file."""
    return Path(pem(tmp_path_factory.mktemp("certificate") / "both.pem")).read_bytes()


def public(both: bytes) -> str:
    return x509.load_pem_x509_certificate(both).public_bytes(Encoding.PEM).decode()


def with_certificate(server: Server, both: bytes) -> OutlookProvider:
    return OutlookProvider(
        server.url, server.url, "common", server.config.client_id, "", 5, "Coordinoter/test", certificate=both
    )


def test_it_works(server: Server, desk: person.Desk, both: bytes) -> None:
    desk("PATCH", f"applications/{server.config.client_id}", certificates=[public(both)])
    provider = with_certificate(server, both)
    grant = person.connect(provider)
    again = provider.refresh(grant.tokens.refresh_token or "")
    assert provider.calendars(again.access_token)


def test_what_the_assertion_says(fake: Fake, both: bytes) -> None:
    provider = OutlookProvider(
        fake.url, fake.url, "common", CLIENT_ID, "", 5, "Coordinoter/test", certificate=both, now=lambda: NOW
    )
    fake.on(TOKEN, token_answer())
    provider.refresh("refresh-1")
    provider.refresh("refresh-1")
    first, second = (call.form for call in fake.calls(TOKEN))
    assert "client_secret" not in first
    assert first["client_id"] == CLIENT_ID
    assert first["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    head = first["client_assertion"].split(".")[0]
    header = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    der = x509.load_pem_x509_certificate(both).public_bytes(Encoding.DER)
    print_ = base64.urlsafe_b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")
    assert header == {"alg": "PS256", "typ": "JWT", "x5t#S256": print_}
    claims = jwt.decode(first["client_assertion"], RSAKey.import_key(both), algorithms=["PS256"]).claims
    now = int(NOW.timestamp())
    assert claims["aud"] == f"{fake.url}{TOKEN.split()[1]}"
    assert claims["iss"] == claims["sub"] == CLIENT_ID
    assert (claims["nbf"], claims["iat"]) == (now, now)
    assert 300 <= claims["exp"] - now <= 600
    other = jwt.decode(second["client_assertion"], RSAKey.import_key(both), algorithms=["PS256"]).claims
    assert other["jti"] != claims["jti"], "an assertion is used once"


def test_a_certificate_that_microsoft_does_not_know_is_our_fault(
    server: Server, desk: person.Desk, both: bytes, outlook: OutlookProvider
) -> None:
    desk("PATCH", f"applications/{server.config.client_id}", certificates=[])
    grant = person.connect(outlook)
    with pytest.raises(OurFault):
        with_certificate(server, both).refresh(grant.tokens.refresh_token or "")


def test_the_key_does_not_show(fake: Fake, both: bytes) -> None:
    provider = OutlookProvider(
        fake.url, fake.url, "common", CLIENT_ID, "", 5, "Coordinoter/test", certificate=both, now=lambda: NOW
    )
    assert "PRIVATE" not in repr(provider._client)
    assert "RSAKey" not in repr(provider._client)

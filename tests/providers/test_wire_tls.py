"""The same caps behind TLS, which is what Microsoft speaks: a drip is cut there too, and strangers are not trusted."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from portal.providers.base import Unreachable
from tests.providers.conftest import make_provider
from tests.providers.fake import Fake, serving
from tests.providers.test_wire import CALENDARS, drip_body, drip_headers


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for this machine that nobody trusts unless told to, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Fake]:
    """The fake Microsoft behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(Fake(), context) as world:
        world.on(CALENDARS, {"value": []})
        yield world


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))


def test_it_works(secure: Fake, trusted: None) -> None:
    provider = make_provider(secure.url)
    assert provider.calendars("access-1") == () and provider.calendars("access-1") == ()
    assert secure.asked[0].headers["Authorization"] == "Bearer access-1"


def test_a_stranger_is_not_spoken_to(secure: Fake) -> None:
    with pytest.raises(Unreachable):
        make_provider(secure.url).calendars("access-1")
    assert secure.asked == []


@pytest.mark.parametrize("odd", [drip_body, drip_headers])
def test_a_call_ends_when_its_time_is_up(secure: Fake, trusted: None, odd: object) -> None:
    secure.on(CALENDARS, odd)
    started = time.monotonic()
    with pytest.raises(Unreachable):
        make_provider(secure.url, timeout=0.6).calendars("access-1")
    assert 0.4 < time.monotonic() - started < 5

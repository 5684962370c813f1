"""Settings: a half-configured start is refused in one sentence that names the setting."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from portal.config import ConfigError, is_loopback, load

KEY = base64.b64encode(b"k" * 32).decode()
GOOD = {
    "PORTAL_BASE_URL": "https://portal.example.com",
    "PORTAL_SECRET_KEY": "s" * 32,
    "PORTAL_TOKEN_KEYS": KEY,
    "PORTAL_RECEIPT_KEYS": KEY,
    "MICROSOFT_CLIENT_ID": "id",
    "MICROSOFT_CLIENT_SECRET": "secret-value",
}


def test_it_works() -> None:
    settings = load(GOOD)
    assert settings.microsoft_authority == "https://login.microsoftonline.com"
    assert settings.microsoft_tenant == "common"
    assert settings.redirect_uri == "https://portal.example.com/integrations/outlook-calendar/callback"
    assert settings.database_url.startswith("sqlite:///")
    assert settings.database_url != settings.keys_url


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_missing_setting_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_BASE_URL", "portal.example.com"),
        ("PORTAL_BASE_URL", "https://portal.example.com/sub"),
        ("PORTAL_BASE_URL", "http://portal.example.com"),
        ("PORTAL_BASE_URL", "http://127.0.0.1:8000"),
        ("PORTAL_SECRET_KEY", "hunter2"),
        ("PORTAL_TOKEN_KEYS", "not base64"),
        ("PORTAL_TOKEN_KEYS", base64.b64encode(b"too short").decode()),
        ("PORTAL_RECEIPT_KEYS", f"{KEY},rubbish"),
        ("MICROSOFT_AUTHORITY", "http://login.example"),
        ("MICROSOFT_AUTHORITY", "https://login.microsoftonline.com/common"),
        ("MICROSOFT_GRAPH_URL", "https://graph.microsoft.com/v1.0"),
        ("PORTAL_DATABASE_URL", "mysql://x/y"),
        ("PORTAL_DISCONNECT_DEADLINE", "soon"),
        ("PORTAL_DISCONNECT_DEADLINE", "nan"),
        ("PORTAL_REMOTE_TIMEOUT", "26"),
        ("PORTAL_DISCONNECT_DEADLINE", "-1"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name) as refused:
        load({**GOOD, name: value})
    assert "\n" not in str(refused.value)
    if name.endswith(("_KEY", "_KEYS")):
        assert value not in str(refused.value)


def test_demo_mode_is_refused_where_strangers_could_reach_it() -> None:
    with pytest.raises(ConfigError, match="PORTAL_BASE_URL"):
        load({**GOOD, "PORTAL_DEMO": "1"})
    assert load({**GOOD, "PORTAL_DEMO": "1", "PORTAL_BASE_URL": "http://127.0.0.1:8000"}).demo


def test_keys_may_not_lie_in_a_file_beside_a_shared_database() -> None:
    urls = {"PORTAL_DATABASE_URL": "postgresql://db/portal", "PORTAL_KEYS_URL": "sqlite:////tmp/keys.db"}
    with pytest.raises(ConfigError, match="PORTAL_KEYS_URL"):
        load({**GOOD, **urls})
    assert load({**GOOD, **urls, "PORTAL_DEMO": "1", "PORTAL_BASE_URL": "http://localhost:1"})


def test_keys_and_portal_may_not_share_a_database() -> None:
    url = "postgresql://db/portal"
    with pytest.raises(ConfigError, match="PORTAL_KEYS_URL"):
        load({**GOOD, "PORTAL_DATABASE_URL": url, "PORTAL_KEYS_URL": url})


def test_secrets_do_not_show() -> None:
    text = repr(load(GOOD))
    assert "secret-value" not in text
    assert "k" * 32 not in text
    assert "s" * 32 not in text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1", True),
        ("http://127.9.9.9", True),
        ("http://[::1]:1", True),
        ("http://localhost", True),
        ("http://localhost.example.com", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_loopback_is_told_from_the_rest(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


def pem(path: Path, *, bits: int = 2048, foreign: bool = False, certificate: bool = True) -> str:
    """A file with a key and a certificate, fit unless told otherwise; its path."""
    key = rsa.generate_private_key(65537, bits)
    signer = rsa.generate_private_key(65537, bits) if foreign else key
    name, day = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coordinoter")]), datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, signer.public_key(), 1, day, day + timedelta(days=3650))
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    if certificate:
        text += made.sign(signer, SHA256()).public_bytes(Encoding.PEM)
    path.write_bytes(text)
    return str(path)


WITHOUT_SECRET = {name: value for name, value in GOOD.items() if name != "MICROSOFT_CLIENT_SECRET"}


def test_a_certificate_takes_the_place_of_the_secret(tmp_path: Path) -> None:
    path = pem(tmp_path / "both.pem")
    settings = load({**WITHOUT_SECRET, "MICROSOFT_CLIENT_CERTIFICATE": path})
    assert settings.microsoft_client_secret == ""
    assert settings.microsoft_client_certificate == Path(path).read_bytes()
    assert "PRIVATE KEY" not in repr(settings)
    with pytest.raises(ConfigError, match="exactly one of MICROSOFT_CLIENT_SECRET and MICROSOFT_CLIENT_CERTIFICATE"):
        load({**GOOD, "MICROSOFT_CLIENT_CERTIFICATE": path})


@pytest.mark.parametrize("unfit", [{"bits": 1024}, {"foreign": True}, {"certificate": False}])
def test_an_unfit_certificate_is_refused(tmp_path: Path, unfit: dict[str, Any]) -> None:
    path = pem(tmp_path / "unfit.pem", **unfit)
    with pytest.raises(ConfigError, match="MICROSOFT_CLIENT_CERTIFICATE") as refused:
        load({**WITHOUT_SECRET, "MICROSOFT_CLIENT_CERTIFICATE": path})
    assert "\n" not in str(refused.value)


def test_a_certificate_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("nowhere.pem", "empty.pem", ""):
        with pytest.raises(ConfigError, match="MICROSOFT_CLIENT_CERTIFICATE"):
            load({**WITHOUT_SECRET, "MICROSOFT_CLIENT_CERTIFICATE": str(tmp_path / name)})

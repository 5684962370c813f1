"""Settings from the environment. A half-configured start is refused in one plain sentence.

README holds the table of every name. Nothing else in the portal reads the environment.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from portal.hours import Hours
from portal.widget import Widget

ROOT = Path(__file__).resolve().parent.parent

MICROSOFT_AUTHORITY = "https://login.microsoftonline.com"
MICROSOFT_GRAPH_URL = "https://graph.microsoft.com"

LONGEST_CALL = 25.0
"""Seconds. A call may wait as long for its turn and then take as long again; what it asked for counts as settled, and
its lease as free, after 60 (workflows/intent.py, workflows/tokens.py)."""


class ConfigError(Exception):
    """A setting is missing or wrong. The text is one sentence for the operator and names the setting."""


@dataclass(frozen=True)
class Settings:
    """Everything an operator can set. Secrets never show in `repr`."""

    database_url: str
    keys_url: str
    base_url: str
    secret_key: str = field(repr=False)
    token_keys: tuple[bytes, ...] = field(repr=False)
    receipt_keys: tuple[bytes, ...] = field(repr=False)
    microsoft_authority: str
    microsoft_graph_url: str
    microsoft_tenant: str
    microsoft_client_id: str
    microsoft_client_secret: str = field(repr=False)  # or else the certificate; never both
    microsoft_client_certificate: bytes = field(repr=False)  # PEM: private key and certificate
    demo: bool
    engine: bool
    disconnect_deadline: float  # seconds
    remote_timeout: float  # seconds
    retry_first: float  # seconds between the first two tries of a remote step; doubles from then on
    retry_longest: float  # seconds
    stream_limit: int
    extra_hosts: tuple[str, ...] = ()
    mail_url: str = field(default="", repr=False)
    mail_from: str = ""
    metrics_token: str = field(default="", repr=False)
    support_hours: Hours | None = None
    conversation_days: float = 90
    help_widget: Widget = field(default_factory=Widget)
    proxies: int = 0

    @property
    def webhook_url(self) -> str:
        """Where Microsoft delivers change notifications."""
        return f"{self.base_url}/webhooks/outlook-calendar"

    @property
    def redirect_uri(self) -> str:
        """The redirect URI to register at Microsoft."""
        return f"{self.base_url}/integrations/outlook-calendar/callback"


def load(environ: Mapping[str, str]) -> Settings:
    """Read and judge the environment. Raises ConfigError with one sentence that names the setting at fault."""
    demo = _flag(environ, "PORTAL_DEMO")
    base_url = _origin("PORTAL_BASE_URL", _need(environ, "PORTAL_BASE_URL"), demo=demo)
    if demo and not is_loopback(base_url):
        raise ConfigError(
            "PORTAL_BASE_URL must be a loopback address in demo mode: the demo's passwords are published."
        )
    authority = _origin("MICROSOFT_AUTHORITY", environ.get("MICROSOFT_AUTHORITY") or MICROSOFT_AUTHORITY, demo=demo)
    graph = _origin("MICROSOFT_GRAPH_URL", environ.get("MICROSOFT_GRAPH_URL") or MICROSOFT_GRAPH_URL, demo=demo)
    database_url = _database(environ, "PORTAL_DATABASE_URL", "portal.sqlite3")
    keys_url = _database(environ, "PORTAL_KEYS_URL", "keys.sqlite3")
    if database_url.startswith("postgresql") and keys_url.startswith("sqlite") and not demo:
        raise ConfigError(
            "PORTAL_KEYS_URL must name a PostgreSQL database when PORTAL_DATABASE_URL does: "
            "a key file on one machine cannot be shared by several."
        )
    if database_url == keys_url:
        raise ConfigError("PORTAL_KEYS_URL must differ from PORTAL_DATABASE_URL: keys live in a database of their own.")
    secret, certificate = _proof(environ)
    return Settings(
        database_url=database_url,
        keys_url=keys_url,
        base_url=base_url,
        secret_key=_long(environ, "PORTAL_SECRET_KEY"),
        token_keys=_keys(environ, "PORTAL_TOKEN_KEYS"),
        receipt_keys=_keys(environ, "PORTAL_RECEIPT_KEYS"),
        microsoft_authority=authority,
        microsoft_graph_url=graph,
        microsoft_tenant=environ.get("MICROSOFT_TENANT") or "common",
        microsoft_client_id=_need(environ, "MICROSOFT_CLIENT_ID"),
        microsoft_client_secret=secret,
        microsoft_client_certificate=certificate,
        demo=demo,
        engine=environ.get("PORTAL_ENGINE", "embedded") == "embedded",
        disconnect_deadline=_seconds(environ, "PORTAL_DISCONNECT_DEADLINE", 900),
        remote_timeout=_seconds(environ, "PORTAL_REMOTE_TIMEOUT", 15, longest=LONGEST_CALL),
        mail_url=_mail(environ),
        mail_from=environ.get("PORTAL_MAIL_FROM", ""),
        metrics_token=environ.get("PORTAL_METRICS_TOKEN", ""),
        support_hours=_hours(environ),
        help_widget=_widget(environ),
        conversation_days=_seconds(environ, "PORTAL_CONVERSATION_DAYS", 90),
        retry_first=_seconds(environ, "PORTAL_RETRY_FIRST", 1),
        retry_longest=_seconds(environ, "PORTAL_RETRY_LONGEST", 30),
        proxies=_number(environ, "PORTAL_PROXIES"),
        stream_limit=int(_seconds(environ, "PORTAL_STREAM_LIMIT", 1000)),
    )


def var_dir(environ: Mapping[str, str]) -> Path:
    """Where all state lives unless the database settings say otherwise."""
    return Path(environ.get("PORTAL_VAR") or ROOT / "var").resolve()


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _need(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"{name} is not set; README's table of settings says what it is for.")
    return value


def _proof(environ: Mapping[str, str]) -> tuple[str, bytes]:
    """How we prove ourselves to Microsoft: a secret, or a certificate read from the file named; exactly one of them."""
    secret = environ.get("MICROSOFT_CLIENT_SECRET", "").strip()
    path = environ.get("MICROSOFT_CLIENT_CERTIFICATE", "").strip()
    if bool(secret) == bool(path):
        raise ConfigError("Set exactly one of MICROSOFT_CLIENT_SECRET and MICROSOFT_CLIENT_CERTIFICATE.")
    return secret, _pem(path) if path else b""


def _pem(path: str) -> bytes:
    """A PEM file with an RSA key and the certificate made for it."""
    try:
        pem = Path(path).read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        fits = x509.load_pem_x509_certificate(pem).public_key() == key.public_key()
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        fits = False
    if not fits or not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise ConfigError(
            "MICROSOFT_CLIENT_CERTIFICATE must name a readable PEM file that holds an RSA private key of 2048 bits or "
            "more, without a password, and the certificate made for it."
        )
    return pem


def _long(environ: Mapping[str, str], name: str) -> str:
    value = _need(environ, name)
    if len(value) < 32:
        raise ConfigError(f"{name} is too short: give it at least 32 random characters.")
    return value


def _mail(environ: Mapping[str, str]) -> str:
    url = environ.get("PORTAL_MAIL_URL", "").strip()
    if url and urlsplit(url).scheme not in {"smtp", "smtps"}:
        raise ConfigError("PORTAL_MAIL_URL must look like smtp://user:password@mail.example.com:587 (or smtps://).")
    if url and "@" not in environ.get("PORTAL_MAIL_FROM", ""):
        raise ConfigError("PORTAL_MAIL_FROM must be the sender's address when PORTAL_MAIL_URL is set.")
    return url


def _widget(environ: Mapping[str, str]) -> Widget:
    try:
        return Widget.read(environ.get("PORTAL_HELP_WIDGET", ""))
    except ValueError:
        raise ConfigError(
            "PORTAL_HELP_WIDGET must be own, intercom:APP_ID, zendesk:KEY or chatwoot:https://chat.example.com,TOKEN."
        ) from None


def _hours(environ: Mapping[str, str]) -> Hours | None:
    text = environ.get("PORTAL_SUPPORT_HOURS", "").strip()
    try:
        return Hours.read(text) if text else None
    except (ValueError, KeyError):
        raise ConfigError("PORTAL_SUPPORT_HOURS must look like: Mon-Fri 09:00-17:00 Europe/Berlin.") from None


def _flag(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in {"1", "true", "yes"}


def _seconds(environ: Mapping[str, str], name: str, default: float, longest: float | None = None) -> float:
    try:
        value = float(environ.get(name) or default)
    except ValueError:
        value = -1
    if not 0 < value < math.inf:  # nor "nan"
        raise ConfigError(f"{name} must be a number greater than zero.")
    if longest is not None and value > longest:
        raise ConfigError(f"{name} must be {longest:g} or less.")
    return value


def _number(environ: Mapping[str, str], name: str) -> int:
    value = environ.get(name, "").strip() or "0"
    if not (value.isascii() and value.isdigit() and len(value) < 3):
        raise ConfigError(f"{name} must be a small whole number.")
    return int(value)


def _origin(name: str, value: str, *, demo: bool) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(f"{name} must be an address such as https://portal.example.com.")
    if parts.path.rstrip("/") or parts.query or parts.fragment or parts.username:
        raise ConfigError(f"{name} must be an origin only: scheme, host and port, nothing behind.")
    if parts.scheme == "http" and not (demo and is_loopback(value)):
        raise ConfigError(f"{name} must start with https:// (plain http is for loopback addresses in demo mode only).")
    return f"{parts.scheme}://{parts.netloc}"


def _database(environ: Mapping[str, str], name: str, default_file: str) -> str:
    url = environ.get(name, "").strip() or f"sqlite:///{var_dir(environ) / default_file}"
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            url = "postgresql+psycopg://" + url.removeprefix(prefix)
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ConfigError(f"{name} must start with sqlite:/// or postgresql://.")
    return url


def _keys(environ: Mapping[str, str], name: str) -> tuple[bytes, ...]:
    """Comma-separated base64 keys of 32 bytes; the first one is used for new work, all of them for old."""
    keys: list[bytes] = []
    for part in _need(environ, name).split(","):
        try:
            key = base64.b64decode(part.strip(), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            raise ConfigError(f"{name} must be one or more base64 keys of 32 bytes each, separated by commas.")
        keys.append(key)
    return tuple(keys)

"""What the authority says of itself: endpoints and signing keys, kept for an hour.

OpenID Connect Discovery 1.0 section 4; Microsoft's fields:
https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from portal.providers.base import Unreachable
from portal.providers.outlook.http import Json, Line, read_object, request_id, retry_after, unsigned

MAX_AGE = timedelta(hours=1)


def discovery_url(authority: str, tenant: str) -> str:
    """Where an authority describes itself, for one tenant or a name such as `common`."""
    return f"{authority}/{tenant}/v2.0/.well-known/openid-configuration"


@dataclass(frozen=True)
class Metadata:
    """The part of a discovery document that we use."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    revocation_endpoint: str
    token_auth: str
    revocation_auth: str


class Discovery:
    """Asks for the discovery document and the keys, and remembers both for `MAX_AGE`."""

    def __init__(self, line: Line, url: str) -> None:
        self._line = line
        self._url = url
        self._metadata: tuple[datetime, Metadata] | None = None
        self._keys: tuple[datetime, tuple[Json, ...]] | None = None

    def metadata(self) -> Metadata:
        """The endpoints. A document that cannot be had, or names unsafe addresses, is Unreachable."""
        now = self._line.now()
        if self._metadata is None or not now - MAX_AGE < self._metadata[0] <= now:
            self._metadata = (now, _read(_fetch(self._line, self._url, "discovery")))
        return self._metadata[1]

    def keys(self, *, anew: bool = False) -> tuple[Json, ...]:
        """The signing keys (RFC 7517 section 5). `anew` asks again, for a key id nobody has heard of."""
        now = self._line.now()
        if anew or self._keys is None or not now - MAX_AGE < self._keys[0] <= now:
            found = _fetch(self._line, self.metadata().jwks_uri, "signing keys").get("keys")
            if not isinstance(found, list):
                raise Unreachable("Microsoft's signing keys make no sense.")
            self._keys = (now, tuple(key for key in found if isinstance(key, dict)))
        return self._keys[1]


def _fetch(line: Line, url: str, name: str) -> Json:
    response = line.send("GET", url, name, sign=unsigned)
    if response.status_code != 200:
        raise Unreachable(request_id=request_id(response), retry_after=retry_after(response, line.now()))
    return read_object(response)


def _read(document: Json) -> Metadata:
    token_methods = _names(document.get("token_endpoint_auth_methods_supported"))
    revocation_methods = _names(document.get("revocation_endpoint_auth_methods_supported")) or token_methods
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or not issuer:
        raise Unreachable("Microsoft's discovery document names no issuer.")
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        token_endpoint=_endpoint(document, "token_endpoint"),
        jwks_uri=_endpoint(document, "jwks_uri"),
        revocation_endpoint=_endpoint(document, "revocation_endpoint") if document.get("revocation_endpoint") else "",
        token_auth=_auth(token_methods),
        revocation_auth=_auth(revocation_methods),
    )


def _auth(methods: Sequence[str]) -> str:
    """In the body where that is offered, as Microsoft's own libraries do; else Basic, the default of RFC 8414."""
    return "client_secret_post" if "client_secret_post" in methods else "client_secret_basic"


def _names(value: Any) -> tuple[str, ...]:
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def _endpoint(document: Json, name: str) -> str:
    """An address we may send secrets to: https, or this very machine."""
    url = document.get(name)
    if isinstance(url, str):
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            host = ""
        if host and "@" not in parts.netloc and (parts.scheme == "https" or (parts.scheme == "http" and _here(host))):
            return url
    raise Unreachable("Microsoft's discovery document names an address we may not use.")


def _here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False

"""What the sandbox is told from outside: its port, its one registered application, and its public addresses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
CALLBACK = "/integrations/outlook-calendar/callback"


class BadSetting(ValueError):
    """A setting that cannot be used; its text is one plain sentence that may be shown as it is."""


@dataclass(frozen=True, slots=True)
class Config:
    """Settings of one sandbox.

    `redirect_uris` are the exact addresses that the application registered. `public_url` and `graph_url` are origins
    (`https://login.microsoftonline.com`, `https://graph.microsoft.com`); left empty, every answer names the origin
    that the request itself came to, which must then be a loopback address. `state_file` is where a stopped sandbox
    leaves what it knew; left empty, it forgets.
    """

    port: int = 8001
    client_id: str = "00000000-c00d-4000-8000-000000000001"
    client_secret: str = "sandbox-secret-not-for-production"  # noqa: S105  published on purpose: it opens a toy
    redirect_uris: tuple[str, ...] = (f"http://127.0.0.1:8000{CALLBACK}", f"http://localhost:8000{CALLBACK}")
    public_url: str = ""
    graph_url: str = ""
    state_file: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Config:
        """Read `SANDBOX_*`; an empty value counts as not set. Raises BadSetting."""
        env = os.environ if environ is None else environ
        usual = cls()
        further = [uri.strip() for uri in env.get("SANDBOX_REDIRECT_URIS", "").split(",") if uri.strip()]
        return cls(
            port=_port(env.get("SANDBOX_PORT") or str(usual.port)),
            client_id=env.get("SANDBOX_CLIENT_ID") or usual.client_id,
            client_secret=env.get("SANDBOX_CLIENT_SECRET") or usual.client_secret,
            redirect_uris=tuple(dict.fromkeys((*usual.redirect_uris, *further))),
            public_url=_origin("SANDBOX_PUBLIC_URL", env.get("SANDBOX_PUBLIC_URL", "")),
            graph_url=_origin("SANDBOX_GRAPH_URL", env.get("SANDBOX_GRAPH_URL", "")),
            state_file=env.get("SANDBOX_STATE", ""),
        )

    @property
    def named_hosts(self) -> frozenset[str]:
        """Host names that the settings themselves name, without ports."""
        urls = (self.public_url, self.graph_url)
        return frozenset(host for host in (urlsplit(url).hostname for url in urls) if host)


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise BadSetting(f"SANDBOX_PORT must be a number from 0 to 65535, not {text!r}.")
    return int(text)


def _origin(name: str, text: str) -> str:
    url = text.strip().rstrip("/")
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path or parts.query):
        raise BadSetting(f"{name} must be an origin such as https://login.example, without a path, not {text!r}.")
    return url

"""The registry: which calendar services the portal knows, by the slug in their URLs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from portal.providers.base import Provider
from portal.providers.outlook.outlook import OutlookProvider


def _now() -> datetime:
    return datetime.now(UTC)


def make(
    *,
    authority: str,
    graph_url: str,
    tenant: str,
    client_id: str,
    client_secret: str,
    timeout: float,
    base_url: str,
    certificate: bytes = b"",
    now: Callable[[], datetime] = _now,
) -> dict[str, Provider]:
    """Every provider, by slug. `base_url` tells Microsoft's operators whom to ask about our calls (RFC 9110 10.1.5)."""
    outlook = OutlookProvider(
        authority,
        graph_url,
        tenant,
        client_id,
        client_secret,
        timeout,
        user_agent(base_url),
        certificate=certificate,
        now=now,
    )
    return {outlook.key: outlook}


def user_agent(base_url: str) -> str:
    """The product and where it runs."""
    try:
        release = version("coordinoter")
    except PackageNotFoundError:
        release = "0"
    return f"Coordinoter/{release} (+{base_url})"

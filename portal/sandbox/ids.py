"""Ids, secrets and their digests."""

from __future__ import annotations

import hashlib
import secrets
import uuid

CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
EXCHANGE_APP = "00000002-0000-0ff1-ce00-000000000000"
RESOURCES = {"graph": GRAPH_APP, "exchange": EXCHANGE_APP}
"""What a consent may be about; a registration of older days may have asked for Exchange's own calendar scopes too."""


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def new_secret(prefix: str = "", size: int = 48) -> str:
    return prefix + secrets.token_urlsafe(size)


def new_id() -> str:
    return str(uuid.uuid4())

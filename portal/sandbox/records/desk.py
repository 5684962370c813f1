"""What the desk remembers: calls that were made, and misfortunes that were ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(slots=True)
class Call:
    """One request that somebody made, with every secret blanked."""

    at: datetime
    method: str
    path: str
    query: str
    body: str
    status: int
    account: str
    request_id: str
    client_request_id: str
    agent: str
    fault: str = ""


@dataclass(slots=True)
class Fault:
    """A misfortune waiting for its request; see `desk/faults.py` for the kinds. `times` None means for ever."""

    id: str
    kind: str
    path: str
    method: str = "*"
    account: str = ""
    grant_type: str = ""
    times: int | None = 1
    skip: int = 0
    status: int = 503
    code: str = ""
    aadsts: int = 0
    suberror: str = ""
    message: str = "Ordered at the desk."
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    content_type: str = ""
    delay: float = 0.0
    retry_after: str = ""
    location: str = "http://elsewhere.invalid/"
    met: int = 0

"""How we speak HTTP to Microsoft: sessions that name the product, traceable calls, answers that are objects."""

from __future__ import annotations

import json
import logging
import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from requests.adapters import BaseAdapter

from portal.providers.base import ProviderError, Unreachable

log = logging.getLogger("portal.providers.outlook")

Json = Mapping[str, Any]
Sign = Callable[[requests.PreparedRequest], requests.PreparedRequest]
LONGEST_WAIT = 86400.0


@dataclass(frozen=True)
class Line:
    """What all calls share: the transport, the name we go by, and where the time comes from."""

    adapter: BaseAdapter
    user_agent: str
    now: Callable[[], datetime]

    def prepare(self, session: requests.Session) -> str:
        """Put the transport and our headers into a fresh session; returns its client-request-id.

        Microsoft, "Best practices for working with Microsoft Graph": send a client-request-id, log it with request-id.
        https://learn.microsoft.com/graph/best-practices-concept
        """
        call_id = str(uuid.uuid4())
        session.adapters.clear()
        session.mount("https://", self.adapter)
        session.mount("http://", self.adapter)
        session.headers.update(
            {"User-Agent": self.user_agent, "Accept": "application/json", "client-request-id": call_id}
        )
        return call_id

    def send(
        self, method: str, url: str, name: str, *, sign: Sign, headers: Json | None = None, body: Json | None = None
    ) -> requests.Response:
        """One call. `sign` puts the Authorization header in place; it also keeps a .netrc file from doing so."""
        session = requests.Session()
        call_id = self.prepare(session)
        failure: ProviderError | None = None
        try:
            response = session.request(
                method, url, headers=dict(headers or {}), json=body, auth=sign, allow_redirects=False
            )
        except (requests.RequestException, ValueError):
            failure = Unreachable("A call to Microsoft could not be put together.", request_id=call_id)
        except ProviderError as error:
            failure = error
            failure.request_id = failure.request_id or call_id
            log.warning("%s: no usable answer (client-request-id %s)", name, call_id)
        if failure is not None:
            raise failure
        note(name, response, call_id)
        return response


def unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """For calls that carry no credentials at all."""
    return request


def note(name: str, response: requests.Response, call_id: str) -> None:
    """Log a call by its name, never by its URL: links and callbacks carry secrets."""
    log.info("%s: %s (client-request-id %s, request-id %s)", name, response.status_code, call_id, request_id(response))


def request_id(response: requests.Response) -> str:
    """Microsoft's name for this call, made harmless for logs and pages."""
    return re.sub(r"[^\w.-]", "", response.headers.get("request-id") or response.headers.get("x-ms-request-id") or "")[
        :64
    ]


def read_object(response: requests.Response) -> Json:
    """The body as a JSON object; anything else is an answer that makes no sense."""
    found = parse_object(response.content)
    if found is None:
        raise Unreachable("Microsoft's answer makes no sense.", request_id=request_id(response))
    return found


def parse_object(body: bytes) -> Json | None:
    """A JSON object, or None. Deep nesting and absurd numbers are "not JSON" to us."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def retry_after(response: requests.Response, now: datetime) -> float | None:
    """Seconds to wait (RFC 9110 section 10.2.3). Microsoft also sends fractions of a second.

    https://learn.microsoft.com/graph/throttling
    """
    value = response.headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT) if math.isfinite(seconds) else None

"""Sending one POST to somebody's webhook, the way Microsoft does it. Follows no redirect and no proxy setting."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from ..ids import new_id

AGENT = "Coordinoter sandbox (not Microsoft)"


class HandshakeFailed(Exception):
    """Why a notification URL was not accepted, in Microsoft's manner of speaking."""


class _Still(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _open(request: urllib.request.Request, seconds: float) -> tuple[int, str, bytes]:
    """Status, content type and the first part of the body. Raises OSError or HTTPException when nothing came back."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Still)
    try:
        with opener.open(request, timeout=seconds) as answer:
            return answer.status, answer.headers.get_content_type(), answer.read(4096)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.headers.get_content_type(), b""


def handshake(url: str, seconds: float) -> None:
    """https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation

    The receiver must answer 200 with the decoded token as text/plain, in time (ten seconds). Raises HandshakeFailed.
    """
    token = f"Validation: Testing client application reachability for subscription Request-Id: {new_id()}"
    target = f"{url}{'&' if '?' in url else '?'}validationToken={quote(token, safe='')}"
    headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": AGENT}
    request = urllib.request.Request(target, data=b"", headers=headers, method="POST")  # noqa: S310  scheme was checked
    try:
        status, kind, body = _open(request, seconds)
    except TimeoutError as slow:
        raise HandshakeFailed("Notification endpoint did not answer in time.") from slow
    except (OSError, http.client.HTTPException) as broken:
        raise HandshakeFailed("Notification endpoint could not be reached.") from broken
    if status != 200:
        raise HandshakeFailed(f"Notification endpoint must respond with 200 OK to validation request, not {status}.")
    if kind != "text/plain":
        raise HandshakeFailed(f"Notification endpoint must answer text/plain, not {kind}.")
    if body.decode(errors="replace").strip() != token:
        raise HandshakeFailed("Notification endpoint must answer with the decoded validation token and nothing else.")


def notify(url: str, document: dict[str, Any], seconds: float) -> int:
    """POST a notification; the status it was answered with. Raises OSError or HTTPException when nothing came back."""
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": AGENT}
    data = json.dumps(document).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method="POST")  # noqa: S310  scheme was checked
    return _open(request, seconds)[0]

"""The token endpoint's answer: a refusal of our family, or tokens that can be used."""

from __future__ import annotations

from datetime import datetime, timedelta

import requests

from portal.providers.base import Tokens, Unreachable
from portal.providers.outlook.http import Json, parse_object, request_id, retry_after
from portal.providers.outlook.oauth_errors import token_error

ASSUMED_LIFE = 3600
LONGEST_LIFE = 366 * 86400


def judge(response: requests.Response, now: datetime) -> None:
    """Raise for a refusal (RFC 6749 section 5.2). A refusal that is not in that form is no usable answer."""
    found = parse_object(response.content)
    refused = found is not None and isinstance(found.get("error"), str)
    if refused or not 200 <= response.status_code < 300:
        raise token_error(
            found if refused and found is not None else {"error": "temporarily_unavailable"},
            response.status_code,
            retry_after=retry_after(response, now),
            request_id=request_id(response),
        )


def read_tokens(answer: Json, asked: tuple[str, ...], now: datetime) -> Tokens:
    """A successful answer (RFC 6749 section 5.1). A server that names no scope granted what was asked."""
    access_token, refresh_token = answer.get("access_token"), answer.get("refresh_token")
    bearer = str(answer.get("token_type", "")).lower() == "bearer"
    if not _sendable(access_token) or not bearer or not (refresh_token is None or _sendable(refresh_token)):
        raise Unreachable("Microsoft's answer holds no token we can use.")
    scope = answer.get("scope")
    return Tokens(
        access_token=str(access_token),
        refresh_token=refresh_token,
        expires_at=now + timedelta(seconds=_life(answer.get("expires_in"))),
        scopes=frozenset(short_name(name) for name in (scope.split() if isinstance(scope, str) else asked)),
    )


def short_name(scope: str) -> str:
    """A scope without the resource before it: Microsoft answers with either form."""
    return scope.rstrip("/").rpartition("/")[2] if "://" in scope else scope


def _sendable(token: object) -> bool:
    """A token fit for an Authorization header: visible ASCII (RFC 6750 section 2.1)."""
    return isinstance(token, str) and token != "" and all("!" <= char <= "~" for char in token)


def _life(value: object) -> int:
    """`expires_in` in seconds; where a server leaves it out, an hour is assumed."""
    if value is None:
        return ASSUMED_LIFE
    seconds = 0
    if isinstance(value, int | str) and not isinstance(value, bool):
        try:
            seconds = int(value)
        except ValueError:
            seconds = 0
    if not 0 < seconds < LONGEST_LIFE:
        raise Unreachable("Microsoft's answer makes no sense.")
    return seconds

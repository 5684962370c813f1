"""Graph's errors into our family, by status and innermost known code, never by message.

https://learn.microsoft.com/graph/errors
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from portal.providers.base import (
    AccessEnded,
    AccessExpired,
    AccessReason,
    Busy,
    Gone,
    LinkSpent,
    ProviderError,
    Rejected,
    Unreachable,
)

NO_MAILBOX = {"mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi", "mailboxnothostedinexchangeonline"}
SPENT = {"syncstatenotfound", "resyncrequired"}
GONE = {"erroritemnotfound", "resourcenotfound", "request_resourcenotfound", "itemnotfound"}
BUSY = {"toomanyrequests", "applicationthrottled", "activitylimitreached"}
CLAIMS = {"insufficient_claims"}
DENIED = {"erroraccessdenied"}
AWAY = {"servicenotavailable"}
EXPIRED = {"invalidauthenticationtoken"}
KNOWN = NO_MAILBOX | SPENT | GONE | BUSY | CLAIMS | DENIED | AWAY | EXPIRED


def graph_error(
    status: int,
    body: Mapping[str, Any] | None,
    *,
    challenge: str,
    retry_after: float | None,
    request_id: str,
    method: str = "GET",
    changes: bool = False,
) -> ProviderError:
    """The error for an answer that is not a success.

    A 4xx whose body is not Graph's error object did not come from Graph (a proxy, a wrong address): no usable answer,
    and in particular no proof that something is gone. Only what asks for `changes` can be told that its link is spent:
    410 to a DELETE is about the thing itself, and 410 to any other question is a refusal.
    """
    code = innermost(body)
    if code in CLAIMS or (status == 401 and re.search(r'error\s*=\s*"?insufficient_claims', challenge)):
        return AccessEnded(AccessReason.SIGN_IN_NEEDED, request_id=request_id)
    if status == 429 or status == 509 or code in BUSY:
        return Busy(retry_after=retry_after, request_id=request_id)
    if status >= 500 or code in AWAY:
        return Unreachable(retry_after=retry_after, request_id=request_id)
    if status == 401 or code in EXPIRED:
        return AccessExpired(request_id=request_id)
    if code in NO_MAILBOX:
        return AccessEnded(AccessReason.NO_MAILBOX, request_id=request_id)
    if changes and (status == 410 or code in SPENT):
        return LinkSpent(request_id=request_id)
    if code is None:
        return Unreachable(retry_after=retry_after, request_id=request_id)
    if status == 403 and code in DENIED:
        return AccessEnded(AccessReason.SCOPE_MISSING, request_id=request_id)
    if status == 404 or (status == 410 and method != "GET"):
        return Gone(request_id=request_id)
    return Rejected(request_id=request_id)


def innermost(body: Mapping[str, Any] | None) -> str | None:
    """The innermost code we know (lower case), else the outermost given; None when this is not an error object."""
    level: Any = body.get("error") if body is not None else None
    codes: list[str] = []
    for _ in range(10):
        if not isinstance(level, dict):
            break
        if isinstance(level.get("code"), str):
            codes.append(level["code"].lower())
        level = next((level[key] for key in ("innerError", "innererror") if key in level), None)
    known = [code for code in codes if code in KNOWN]
    return known[-1] if known else codes[0] if codes else None

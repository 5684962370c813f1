"""Outlook's limits per application and mailbox: four requests at a time, ten thousand in ten minutes.

Follows https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits. Leaves out the limit on uploaded
bytes, the limits of the directory, and the global one.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import timedelta

from flask import Flask, g, request

from ..context import now, storage
from ..ids import digest
from .errors import GraphError

AT_A_TIME = 4
REQUESTS, PERIOD = 10_000, timedelta(minutes=10)
OUTLOOK = re.compile(r"/v1\.0/me/(calendar|calendars|calendarView|events|translateExchangeIds)(/|$)")


def init_app(app: Flask) -> None:
    app.before_request(_enter)
    app.teardown_request(_leave)


def _enter() -> None:
    _, _, token = request.headers.get("Authorization", "").partition(" ")
    held = storage().access_tokens.get(digest(token.strip())) if OUTLOOK.match(request.path) else None
    if held is None or not held.oid:
        return
    key = (held.client, held.oid)
    with storage().lock:
        recent = storage().recent.setdefault(key, deque())
        while recent and recent[0] <= now() - PERIOD:
            recent.popleft()
        if len(recent) >= REQUESTS:
            seconds = (recent[0] + PERIOD - now()).total_seconds()
            raise _too_many(f"Application is over its limit of {REQUESTS} requests in 10 minutes.", f"{seconds:.3f}")
        recent.append(now())
        if storage().in_flight[key] >= AT_A_TIME:
            raise _too_many("Application is over its MailboxConcurrency limit.", "1")
        storage().in_flight[key] += 1
        g.in_flight = key


def _too_many(message: str, seconds: str) -> GraphError:
    return GraphError(429, "ApplicationThrottled", message, {"Retry-After": seconds})


def _leave(_problem: BaseException | None) -> None:
    key = g.pop("in_flight", None)
    if key:
        with storage().lock:
            storage().in_flight[key] -= 1

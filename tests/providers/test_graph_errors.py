"""What Graph's refusals mean, row by row of Microsoft's tables, seen from the calls themselves."""

from __future__ import annotations

from typing import Any

import pytest

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
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.fake import Fake
from tests.providers.genuine import NOW

CALENDARS = "GET /v1.0/me/calendars"


def told(code: str, *inner: str) -> dict[str, Any]:
    """An error body; `inner` are the codes inside, outermost first."""
    error: dict[str, Any] = {"code": code, "message": "MailboxNotEnabledForRESTAPI is only text here."}
    level = error
    for each in inner:
        level["innerError"] = {"code": each, "date": "2026-03-02T09:00:00", "request-id": "inside"}
        level = level["innerError"]
    return {"error": error}


def meet(provider: OutlookProvider, fake: Fake, status: int, body: Any, **headers: str) -> ProviderError:
    fake.on(CALENDARS, (status, body, headers))
    with pytest.raises(ProviderError) as caught:
        provider.calendars("access-1")
    return caught.value


CHALLENGE = 'PoP realm="x", Bearer realm="", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="'


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    error = meet(provider, fake, 429, told("TooManyRequests"), **{"Retry-After": "7"})
    assert type(error) is Busy and error.retry_after == 7 and error.request_id == "server-7"


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (401, told("InvalidAuthenticationToken"), AccessExpired),
        (401, b"", AccessExpired),
        (403, told("Authorization_RequestDenied"), Rejected),
        (403, told("accessDenied"), Rejected),
        (403, told("extensionError"), Rejected),
        (404, told("ErrorItemNotFound"), Gone),
        (404, told("ResourceNotFound"), Gone),
        (404, told("Request_ResourceNotFound"), Gone),
        (404, told("itemNotFound"), Gone),
        (404, told("SomethingNew"), Gone),
        (409, told("Conflict"), Rejected),
        (412, told("ErrorIrresolvableConflict"), Rejected),
        (429, told("TooManyRequests"), Busy),
        (429, told("ApplicationThrottled"), Busy),
        (429, told("activityLimitReached"), Busy),
        (429, b"slow down", Busy),
        (400, told("badRequest", "applicationThrottled"), Busy),
        (500, told("generalException"), Unreachable),
        (502, b"<html>", Unreachable),
        (503, told("serviceNotAvailable"), Unreachable),
        (504, b"", Unreachable),
        (509, told("activityLimitReached"), Busy),
        (400, told("serviceNotAvailable"), Unreachable),
        (400, told("badRequest"), Rejected),
        (405, told("methodNotAllowed"), Rejected),
        (422, told("unprocessable"), Rejected),
        (404, b"<html>not Graph at all</html>", Unreachable),
        (403, b"", Unreachable),
        (400, {"error": "text"}, Unreachable),
        (404, {"error": {"code": 7}}, Unreachable),
        (404, [], Unreachable),
    ],
)
def test_each_refusal_has_its_error(
    provider: OutlookProvider, fake: Fake, status: int, body: Any, expected: type[ProviderError]
) -> None:
    assert type(meet(provider, fake, status, body)) is expected


@pytest.mark.parametrize(
    ("status", "body", "headers", "reason"),
    [
        (401, told("InvalidAuthenticationToken"), {"WWW-Authenticate": CHALLENGE}, AccessReason.SIGN_IN_NEEDED),
        (403, told("insufficient_claims"), {}, AccessReason.SIGN_IN_NEEDED),
        (403, told("ErrorAccessDenied"), {}, AccessReason.SCOPE_MISSING),
        (404, told("MailboxNotEnabledForRESTAPI"), {}, AccessReason.NO_MAILBOX),
        (404, told("MailboxNotSupportedForRESTAPI"), {}, AccessReason.NO_MAILBOX),
        (404, told("MailboxNotHostedInExchangeOnline"), {}, AccessReason.NO_MAILBOX),
        (404, told("ResourceNotFound", "MailboxNotEnabledForRESTAPI"), {}, AccessReason.NO_MAILBOX),
        (403, told("ErrorAccessDenied", "unknownInside"), {}, AccessReason.SCOPE_MISSING),
    ],
)
def test_access_that_ended_says_why(
    provider: OutlookProvider, fake: Fake, status: int, body: Any, headers: dict[str, str], reason: AccessReason
) -> None:
    error = meet(provider, fake, status, body, **headers)
    assert isinstance(error, AccessEnded) and error.reason is reason


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("2.128", 2.128),
        ("Mon, 02 Mar 2026 09:01:30 GMT", 90.0),
        ("Mon, 02 Mar 2026 08:00:00 GMT", 0.0),
        ("-5", 0.0),
        ("1e300", 86400.0),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("Mon, 99 Mar 2026 09:01:30 GMT", None),
        ("Mon, 02 Mar 2026 09:01:30", None),
        ("", None),
    ],
)
def test_the_wait_is_read_in_every_form(
    provider: OutlookProvider, fake: Fake, value: str, seconds: float | None
) -> None:
    assert meet(provider, fake, 429, b"", **{"Retry-After": value}).retry_after == seconds
    assert meet(provider, fake, 503, b"", **{"Retry-After": value}).retry_after == seconds


def test_the_spelling_of_the_schema_is_understood_too(provider: OutlookProvider, fake: Fake) -> None:
    body = {"error": {"code": "x", "message": "y", "innererror": {"code": "applicationThrottled"}}}
    assert type(meet(provider, fake, 400, body)) is Busy


@pytest.mark.parametrize(
    ("status", "body", "elsewhere"),
    [
        (410, told("resyncRequired"), Rejected),
        (410, b"", Unreachable),
        (400, told("syncStateNotFound"), Rejected),
        (404, told("SyncStateNotFound"), Gone),
        (400, told("badRequest", "resyncRequired"), Rejected),
    ],
)
def test_only_a_link_to_changes_can_be_spent(
    provider: OutlookProvider, fake: Fake, status: int, body: Any, elsewhere: type[ProviderError]
) -> None:
    """A receipt must not say that Microsoft asks for a full sync, when all that was asked for was a list."""
    assert type(meet(provider, fake, status, body)) is elsewhere
    fake.on("GET /v1.0/delta", (status, body, {}))
    fake.on("GET /v1.0/me/calendars/c1/calendarView/delta", (status, body, {}))
    with pytest.raises(LinkSpent):
        provider.next_changes("access-1", f"{fake.url}/v1.0/delta?$deltatoken=1")
    with pytest.raises(LinkSpent):
        provider.first_changes("access-1", "c1", NOW, NOW)


def test_a_spent_link_asks_for_a_full_round(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("GET /v1.0/delta", (410, told("resyncRequired"), {"Location": f"{fake.url}/v1.0/delta"}))
    with pytest.raises(LinkSpent):
        provider.next_changes("access-1", f"{fake.url}/v1.0/delta?$deltatoken=1")


def test_deleting_what_is_gone_says_gone(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("DELETE /v1.0/subscriptions/s1", (404, told("ResourceNotFound"), {}))
    with pytest.raises(Gone) as caught:
        provider.unsubscribe("access-1", "s1")
    assert caught.value.request_id == "server-7"


def test_a_second_subscription_alike_is_refused(provider: OutlookProvider, fake: Fake) -> None:
    fake.on("POST /v1.0/subscriptions", (409, told("Conflict"), {}))
    with pytest.raises(Rejected):
        provider.subscribe("access-1", "http://127.0.0.1/hook", "secret", NOW)

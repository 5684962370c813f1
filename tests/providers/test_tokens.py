"""Refreshing and revoking: what is sent, what may come back, and that no secret leaves with an error."""

from __future__ import annotations

import pickle
import traceback
from datetime import timedelta
from typing import Any

import pytest

from portal.providers.base import AccessEnded, Busy, OurFault, ProviderError, Rejected, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.fake import Fake
from tests.providers.genuine import CLIENT_SECRET, DISCOVERY, NOW, REVOKE, TOKEN, discovery, token_answer


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(TOKEN, token_answer(access_token="access-2", refresh_token="refresh-2"))
    tokens = provider.refresh("refresh-1")
    assert (tokens.access_token, tokens.refresh_token) == ("access-2", "refresh-2")
    assert tokens.expires_at == NOW + timedelta(seconds=3599)
    call = fake.calls(TOKEN)[0]
    assert call.form == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-1",
        "client_id": "portal-client",
        "client_secret": "portal-secret-of-the-tests",
        "scope": "openid profile offline_access User.Read Calendars.ReadWrite",
    }
    assert call.headers["User-Agent"].startswith("Coordinoter/") and len(call.headers["client-request-id"]) == 36


@pytest.mark.parametrize(
    ("changed", "life"), [({"expires_in": "3599"}, 3599), ({"expires_in": None}, 3600), ({"expires_in": 86399}, 86399)]
)
def test_the_life_of_a_token(provider: OutlookProvider, fake: Fake, changed: dict[str, Any], life: int) -> None:
    fake.on(TOKEN, token_answer(**changed))
    assert provider.refresh("refresh-1").expires_at == NOW + timedelta(seconds=life)


def test_a_server_may_keep_the_refresh_token_and_name_no_scope(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(TOKEN, token_answer(refresh_token=None, scope=None))
    tokens = provider.refresh("refresh-1")
    assert tokens.refresh_token is None and "Calendars.ReadWrite" in tokens.scopes


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        (200, b"", {}),
        (200, b"<html>", {}),
        (200, b'{"access_token": "half', {}),
        (200, b"[" * 100_000, {}),
        (200, b'{"expires_in": ' + b"9" * 5000 + b"}", {}),
        token_answer(access_token=None),
        token_answer(access_token=""),
        token_answer(access_token=7),
        token_answer(access_token="with space"),
        token_answer(access_token="with\r\nX-Header: 1"),
        token_answer(access_token="\u00fc"),
        token_answer(refresh_token=7),
        token_answer(refresh_token=""),
        token_answer(token_type="mac"),
        token_answer(token_type=None),
        token_answer(expires_in="soon"),
        token_answer(expires_in=-1),
        token_answer(expires_in=True),
        token_answer(expires_in=1.5),
        token_answer(expires_in=[]),
        token_answer(expires_in=10**12),
    ],
)
def test_an_answer_that_makes_no_sense_is_no_answer(provider: OutlookProvider, fake: Fake, answer: Any) -> None:
    fake.on(TOKEN, answer)
    with pytest.raises(Unreachable):
        provider.refresh("refresh-1")


def test_microsoft_offers_no_revocation(provider: OutlookProvider, fake: Fake) -> None:
    assert provider.can_revoke() is False
    with pytest.raises(Rejected):
        provider.revoke("refresh-1", "refresh_token")


@pytest.fixture
def revoking(provider: OutlookProvider, fake: Fake) -> OutlookProvider:
    """A provider whose metadata offers RFC 7009, and client authentication by Basic alone."""
    fake.on(
        DISCOVERY,
        discovery(
            fake.url, revocation_endpoint=f"{fake.url}{REVOKE.split()[1]}", token_endpoint_auth_methods_supported=None
        ),
    )
    fake.on(REVOKE, (200, b"", {}))
    return provider


def test_a_token_is_revoked_where_the_metadata_says_so(revoking: OutlookProvider, fake: Fake) -> None:
    assert revoking.can_revoke() is True
    revoking.revoke("refresh-1", "refresh_token")
    call = fake.calls(REVOKE)[0]
    assert call.form == {"token": "refresh-1", "token_type_hint": "refresh_token"}
    assert call.headers["Authorization"].startswith("Basic ")


def test_revocation_may_have_a_client_authentication_of_its_own(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(
        DISCOVERY,
        discovery(
            fake.url,
            revocation_endpoint=f"{fake.url}{REVOKE.split()[1]}",
            token_endpoint_auth_methods_supported=["client_secret_basic"],
            revocation_endpoint_auth_methods_supported=["client_secret_post"],
        ),
    )
    fake.on(REVOKE, (200, b"", {}))
    provider.revoke("access-1", "access_token")
    assert fake.calls(REVOKE)[0].form["client_secret"] == "portal-secret-of-the-tests"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((503, b"", {"Retry-After": "3"}), Unreachable),
        ((429, b"", {}), Busy),
        ((400, {"error": "unsupported_token_type"}, {}), Rejected),
        ((400, {"error": "invalid_grant"}, {}), Rejected),
        ((401, {"error": "invalid_client"}, {}), OurFault),
        ((404, b"", {}), Unreachable),
    ],
)
def test_a_revocation_that_fails_says_so(
    revoking: OutlookProvider, fake: Fake, answer: Any, expected: type[ProviderError]
) -> None:
    fake.on(REVOKE, answer)
    with pytest.raises(expected) as caught:
        revoking.revoke("refresh-1", "refresh_token")
    assert not isinstance(caught.value, AccessEnded)


LEAKY = (302, b"", {"Location": "http://127.0.0.1/?refresh_token=refresh-1"})


@pytest.mark.parametrize("answer", [(400, {"error": "invalid_grant"}, {}), (200, b"<", {}), LEAKY])
def test_no_error_carries_a_secret(provider: OutlookProvider, fake: Fake, answer: Any) -> None:
    secret = "refresh" + "-1"
    fake.on(TOKEN, answer)
    with pytest.raises(ProviderError) as caught:
        provider.refresh(secret)
    told = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    assert secret not in told and CLIENT_SECRET not in told
    error: BaseException | None = caught.value
    while error is not None:
        assert secret not in repr(error.args)
        error = error.__cause__ or error.__context__
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 - as the durable engine does
    assert type(again) is type(caught.value) and vars(again) == vars(caught.value)


def test_tokens_do_not_show_in_a_repr(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(TOKEN, token_answer())
    assert "access-1" not in repr(provider.refresh("r")) and "refresh-1" not in repr(provider.refresh("r"))
    assert "portal-secret" not in repr(provider)

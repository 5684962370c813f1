"""Signing in: the way to Microsoft, the way back, and every way it can end otherwise."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal.providers.base import (
    Account,
    AccountKind,
    Grant,
    OurFault,
    ProviderError,
    SignIn,
    SignInReason,
    SignInRefused,
    Unreachable,
)
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.fake import Fake
from tests.providers.genuine import (
    DISCOVERY,
    PERSONAL,
    REDIRECT,
    REVOKE,
    TENANT,
    TOKEN,
    discovery,
    id_token,
    token_answer,
)

STARTED = SignIn("", "the-state", "the-nonce", "the-verifier")


def finish(provider: OutlookProvider, **answer: str) -> Grant:
    return provider.finish_sign_in(
        REDIRECT,
        {"code": "code-1", "state": "the-state", **answer},
        state="the-state",
        nonce="the-nonce",
        code_verifier="the-verifier",
    )


def refusal(provider: OutlookProvider, **answer: str) -> SignInReason:
    with pytest.raises(SignInRefused) as caught:
        finish(provider, **answer)
    assert type(caught.value) is SignInRefused
    return caught.value.reason


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    started = provider.begin_sign_in(REDIRECT)
    asked = query(started.url)
    assert asked["response_type"] == "code" and asked["redirect_uri"] == REDIRECT
    assert asked["state"] == started.state and asked["nonce"] == started.nonce
    assert asked["code_challenge_method"] == "S256" and "code_verifier" not in asked
    assert asked["scope"] == "openid profile offline_access User.Read Calendars.ReadWrite"

    fake.on(TOKEN, token_answer(id_token=id_token(fake.url, started.nonce)))
    grant = provider.finish_sign_in(
        REDIRECT,
        {"code": "code-1", "state": started.state},
        state=started.state,
        nonce=started.nonce,
        code_verifier=started.code_verifier,
    )
    assert grant.account == Account(TENANT, "oid-adele", "adele@contoso.example", "Adele Vance", AccountKind.WORK)
    assert grant.tokens.access_token == "access-1" and grant.tokens.refresh_token == "refresh-1"
    assert grant.tokens.scopes == {"openid", "profile", "User.Read", "Calendars.ReadWrite"}
    form = fake.calls(TOKEN)[0].form
    assert form["grant_type"] == "authorization_code" and form["code_verifier"] == started.code_verifier
    assert form["client_id"] == "portal-client" and form["client_secret"] == "portal-secret-of-the-tests"


def test_every_sign_in_has_secrets_of_its_own(provider: OutlookProvider) -> None:
    one, other = provider.begin_sign_in(REDIRECT), provider.begin_sign_in(REDIRECT)
    assert {one.state, one.nonce, one.code_verifier}.isdisjoint({other.state, other.nonce, other.code_verifier})
    assert len(one.code_verifier) >= 43 and "state" not in repr(one)


def test_it_never_asks_for_long_lived_tokens(provider: OutlookProvider) -> None:
    assert "cp1" not in provider.begin_sign_in(REDIRECT).url and "claims" not in provider.begin_sign_in(REDIRECT).url


def test_a_hint_names_the_account_and_choosing_shows_them_all(provider: OutlookProvider) -> None:
    hinted = query(provider.begin_sign_in(REDIRECT, login_hint="adele@contoso.example").url)
    assert hinted["login_hint"] == "adele@contoso.example" and "prompt" not in hinted
    choosing = query(provider.begin_sign_in(REDIRECT, login_hint="adele@contoso.example", choose_account=True).url)
    assert choosing["prompt"] == "select_account" and "login_hint" not in choosing


@pytest.mark.parametrize("state", ["", "another-state", "the-statE", "\ud800"])
def test_an_answer_with_another_state_is_not_ours(provider: OutlookProvider, fake: Fake, state: str) -> None:
    assert refusal(provider, state=state) is SignInReason.NOT_GENUINE
    assert refusal(provider, state=state, error="access_denied") is SignInReason.NOT_GENUINE
    assert fake.calls(TOKEN) == []


def test_an_empty_state_never_matches(provider: OutlookProvider) -> None:
    with pytest.raises(SignInRefused):
        provider.finish_sign_in(REDIRECT, {"code": "c", "state": ""}, state="", nonce="n", code_verifier="v")


def test_an_answer_without_a_code_is_refused(provider: OutlookProvider, fake: Fake) -> None:
    assert refusal(provider, code="") is SignInReason.FAILED
    assert fake.calls(TOKEN) == []


URI = "https://login.microsoftonline.com/error?code="


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"error": "access_denied", "error_subcode": "cancel"}, SignInReason.CANCELLED),
        ({"error": "access_denied", "error_description": "AADSTS65004: declined"}, SignInReason.DECLINED),
        ({"error": "access_denied", "error_uri": f"{URI}65004"}, SignInReason.DECLINED),
        ({"error": "consent_required"}, SignInReason.ADMIN_APPROVAL_NEEDED),
        ({"error": "access_denied", "error_uri": f"{URI}90094"}, SignInReason.ADMIN_APPROVAL_NEEDED),
        ({"error": "access_denied", "error_uri": f"{URI}90095"}, SignInReason.ADMIN_APPROVAL_NEEDED),
        ({"error": "interaction_required", "suberror": "consent_required"}, SignInReason.ADMIN_APPROVAL_NEEDED),
        ({"error": "access_denied", "error_uri": f"{URI}53003"}, SignInReason.POLICY_BLOCKS),
        ({"error": "interaction_required"}, SignInReason.EXPIRED),
        ({"error": "login_required"}, SignInReason.EXPIRED),
        ({"error": "invalid_request"}, SignInReason.FAILED),
        ({"error": "something_new"}, SignInReason.FAILED),
        ({"error": "access_denied", "error_uri": "https://[half/?code=90094"}, SignInReason.DECLINED),
    ],
)
def test_a_refusal_at_microsoft_has_its_reason(
    provider: OutlookProvider, fake: Fake, answer: dict[str, str], reason: SignInReason
) -> None:
    assert refusal(provider, **answer) is reason
    assert fake.calls(TOKEN) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"error": "temporarily_unavailable"}, Unreachable),
        ({"error": "server_error"}, Unreachable),
        ({"error": "unauthorized_client"}, OurFault),
    ],
)
def test_trouble_that_is_not_the_persons_doing(
    provider: OutlookProvider, answer: dict[str, str], expected: type[ProviderError]
) -> None:
    with pytest.raises(expected):
        finish(provider, **answer)


def test_texts_of_an_error_are_never_read(provider: OutlookProvider) -> None:
    text = "AADSTS90094: admin consent required"
    assert refusal(provider, error="access_denied", error_description=text) is SignInReason.DECLINED


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": "invalid_grant", "error_codes": [54005]}, SignInReason.EXPIRED),
        ({"error": "invalid_grant", "error_codes": [501481]}, SignInReason.EXPIRED),
        ({"error": "invalid_grant", "error_codes": [50147]}, SignInReason.EXPIRED),
        ({"error": "invalid_grant", "error_codes": [700005]}, SignInReason.EXPIRED),
        ({"error": "invalid_grant"}, SignInReason.EXPIRED),
        ({"error": "invalid_grant", "error_codes": [65001]}, SignInReason.ADMIN_APPROVAL_NEEDED),
        ({"error": "invalid_grant", "error_codes": [53003]}, SignInReason.POLICY_BLOCKS),
        ({"error": "interaction_required", "error_codes": [50076]}, SignInReason.EXPIRED),
        ({"error": "invalid_grant", "error_codes": [50057]}, SignInReason.FAILED),
        ({"error": "something_new"}, SignInReason.FAILED),
    ],
)
def test_a_code_that_microsoft_will_not_take(
    provider: OutlookProvider, fake: Fake, body: dict[str, Any], reason: SignInReason
) -> None:
    fake.on(TOKEN, (400, body, {}))
    assert refusal(provider) is reason


def test_our_own_wrong_secret_is_nobodys_refusal(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(TOKEN, (401, {"error": "invalid_client", "error_codes": [7000215]}, {}))
    with pytest.raises(OurFault):
        finish(provider)


def test_a_personal_account_says_so(provider: OutlookProvider, fake: Fake) -> None:
    token = id_token(fake.url, "the-nonce", tid=PERSONAL, iss=f"{fake.url}/{PERSONAL}/v2.0")
    fake.on(TOKEN, token_answer(id_token=token))
    assert finish(provider).account.kind is AccountKind.PERSONAL


@pytest.mark.parametrize("scope", ["openid profile User.Read", "", "openid Calendars.ReadWriteless"])
def test_without_a_calendar_scope_there_is_no_connection(provider: OutlookProvider, fake: Fake, scope: str) -> None:
    fake.on(TOKEN, token_answer(scope=scope, id_token=id_token(fake.url, "the-nonce")))
    assert refusal(provider) is SignInReason.SCOPE_MISSING


@pytest.mark.parametrize("scope", ["CALENDARS.READWRITE", "https://graph.microsoft.com/calendars.read openid", None])
def test_a_calendar_scope_counts_in_every_spelling(provider: OutlookProvider, fake: Fake, scope: str | None) -> None:
    fake.on(TOKEN, token_answer(scope=scope, id_token=id_token(fake.url, "the-nonce")))
    assert finish(provider).account.subject == "oid-adele"


@pytest.mark.parametrize(
    "code", ["MailboxNotEnabledForRESTAPI", "MailboxNotSupportedForRESTAPI", "MailboxNotHostedInExchangeOnline"]
)
def test_an_account_without_a_mailbox_is_refused_at_once(provider: OutlookProvider, fake: Fake, code: str) -> None:
    fake.on(TOKEN, token_answer(id_token=id_token(fake.url, "the-nonce")))
    fake.on("GET /v1.0/me/calendar", (404, {"error": {"code": code, "message": "no"}}, {}))
    assert refusal(provider) is SignInReason.NO_MAILBOX


def test_a_mailbox_that_denies_us_means_the_scope_is_missing(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(TOKEN, token_answer(id_token=id_token(fake.url, "the-nonce")))
    fake.on("GET /v1.0/me/calendar", (403, {"error": {"code": "ErrorAccessDenied", "message": "no"}}, {}))
    assert refusal(provider) is SignInReason.SCOPE_MISSING


@pytest.mark.parametrize("answer", [(503, b"", {}), (429, {"error": {"code": "TooManyRequests"}}, {}), (200, b"<", {})])
def test_a_moment_of_trouble_at_the_mailbox_does_not_lose_the_sign_in(
    provider: OutlookProvider, fake: Fake, answer: Any
) -> None:
    fake.on(TOKEN, token_answer(id_token=id_token(fake.url, "the-nonce")))
    fake.on("GET /v1.0/me/calendar", answer)
    assert finish(provider).account.address == "adele@contoso.example"


def test_graph_is_asked_for_what_the_id_token_leaves_out(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(TOKEN, token_answer(id_token=id_token(fake.url, "the-nonce", preferred_username=None, name=None)))
    fake.on("GET /v1.0/me", {"mail": None, "userPrincipalName": "upn@contoso.example", "displayName": "Adele V."})
    account = finish(provider).account
    assert (account.address, account.name) == ("upn@contoso.example", "Adele V.")


def test_tokens_of_a_refused_sign_in_are_revoked_where_that_is_possible(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(DISCOVERY, discovery(fake.url, revocation_endpoint=f"{fake.url}/common/oauth2/v2.0/revoke"))
    fake.on(REVOKE, (200, b"", {}))
    fake.on(TOKEN, token_answer(scope="openid", id_token=id_token(fake.url, "the-nonce")))
    assert refusal(provider) is SignInReason.SCOPE_MISSING
    assert [call.form["token"] for call in fake.calls(REVOKE)] == ["refresh-1", "access-1"]

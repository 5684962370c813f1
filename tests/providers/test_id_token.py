"""Which id_tokens are genuine: signature, issuer, audience, time, nonce, and the key that may sign for whom."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from portal.providers.base import Account, SignInReason, SignInRefused, Unreachable
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.conftest import make_provider
from tests.providers.fake import Fake
from tests.providers.genuine import (
    CLIENT_ID,
    DISCOVERY,
    KEYS,
    NOW,
    PERSONAL,
    REDIRECT,
    TENANT,
    TOKEN,
    discovery,
    id_token,
    key,
    public_key,
    token_answer,
)

THEN = int(NOW.timestamp())


def signed_in(provider: OutlookProvider, fake: Fake, token: Any) -> Account:
    fake.on(TOKEN, token_answer(id_token=token))
    return provider.finish_sign_in(
        REDIRECT, {"code": "c", "state": "s"}, state="s", nonce="n", code_verifier="v"
    ).account


def not_genuine(provider: OutlookProvider, fake: Fake, token: Any) -> bool:
    with pytest.raises(SignInRefused) as caught:
        signed_in(provider, fake, token)
    return caught.value.reason is SignInReason.NOT_GENUINE


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    account = signed_in(provider, fake, id_token(fake.url, "n"))
    assert (account.tenant, account.subject) == (TENANT, "oid-adele")


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://evil.example/11111111-2222-4333-8444-555555555555/v2.0"},
        {"tid": "99999999-0000-4000-8000-000000000000"},
        {"tid": None},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": None},
        {"exp": THEN - 301},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": THEN + 301},
        {"nonce": "another"},
        {"nonce": None},
        {"nonce": ["n"]},
        {"nonce": "\ud800"},
        {"azp": "another-client", "aud": [CLIENT_ID, "another-client"]},
        {"sub": None},
    ],
)
def test_a_wrong_claim_is_not_genuine(provider: OutlookProvider, fake: Fake, changed: dict[str, Any]) -> None:
    assert not_genuine(provider, fake, id_token(fake.url, "n", **changed))


@pytest.mark.parametrize("changed", [{"exp": THEN - 290}, {"nbf": THEN + 290}, {"aud": [CLIENT_ID]}, {"oid": None}])
def test_clocks_may_differ_a_little(provider: OutlookProvider, fake: Fake, changed: dict[str, Any]) -> None:
    expected = "pairwise-adele" if "oid" in changed else "oid-adele"
    assert signed_in(provider, fake, id_token(fake.url, "n", **changed)).subject == expected


@pytest.mark.parametrize("token", [None, "", "a.b.c", 7, ["x"], "e30.e30.", "\u00fc.\u00fc.\u00fc", "." * 5000])
def test_what_is_no_token_is_not_genuine(provider: OutlookProvider, fake: Fake, token: Any) -> None:
    assert not_genuine(provider, fake, token)


def test_a_signature_by_another_key_is_not_genuine(provider: OutlookProvider, fake: Fake) -> None:
    assert not_genuine(provider, fake, id_token(fake.url, "n", sign_with="key-2"))


def test_only_rs256_counts(provider: OutlookProvider, fake: Fake) -> None:
    claims = {
        "iss": f"{fake.url}/{TENANT}/v2.0",
        "aud": CLIENT_ID,
        "exp": THEN + 60,
        "nonce": "n",
        "sub": "x",
        "tid": TENANT,
    }
    secret = OctKey.import_key("portal-secret-of-the-tests-padded-to-32-bytes")
    assert not_genuine(provider, fake, jwt.encode({"alg": "HS256", "kid": "key-1"}, claims, secret))
    unsigned = jwt.encode({"alg": "RS256", "kid": "key-1"}, claims, key())
    assert not_genuine(provider, fake, "eyJhbGciOiJub25lIn0." + unsigned.split(".")[1] + ".")


def test_a_new_key_is_fetched_once(provider: OutlookProvider, fake: Fake) -> None:
    signed_in(provider, fake, id_token(fake.url, "n"))
    fake.on(KEYS, {"keys": [public_key(), public_key("key-2")]})
    assert signed_in(provider, fake, id_token(fake.url, "n", kid="key-2", sign_with="key-2")).subject == "oid-adele"
    assert len(fake.calls(KEYS)) == 2
    assert not_genuine(provider, fake, id_token(fake.url, "n", kid="key-3"))
    assert len(fake.calls(KEYS)) == 3


@pytest.mark.parametrize("keys", [{"keys": []}, {"keys": ["x", {"kty": "RSA", "kid": "key-1"}]}])
def test_keys_that_fit_nothing(provider: OutlookProvider, fake: Fake, keys: Any) -> None:
    fake.on(KEYS, keys)
    assert not_genuine(provider, fake, id_token(fake.url, "n"))


@pytest.mark.parametrize("keys", [{"keys": "x"}, {}, (503, b"", {}), (200, b"[]", {})])
def test_keys_that_cannot_be_had_are_no_verdict(provider: OutlookProvider, fake: Fake, keys: Any) -> None:
    fake.on(KEYS, keys)
    with pytest.raises(Unreachable):
        signed_in(provider, fake, id_token(fake.url, "n"))


def test_a_key_signs_only_for_its_own_issuer(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(KEYS, {"keys": [public_key(issuer=f"{fake.url}/{PERSONAL}/v2.0")]})
    assert not_genuine(provider, fake, id_token(fake.url, "n"))
    personal = id_token(fake.url, "n", tid=PERSONAL, iss=f"{fake.url}/{PERSONAL}/v2.0")
    assert signed_in(provider, fake, personal).tenant == PERSONAL


def test_a_templated_key_issuer_is_filled_with_the_tokens_tenant(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(KEYS, {"keys": [public_key(issuer=f"{fake.url}/{{tenantid}}/v2.0")]})
    assert signed_in(provider, fake, id_token(fake.url, "n")).tenant == TENANT


def test_a_single_tenant_has_a_concrete_issuer(fake: Fake) -> None:
    provider = make_provider(fake.url, tenant=TENANT)
    fake.on(DISCOVERY.replace("common", TENANT), discovery(fake.url, issuer=f"{fake.url}/{TENANT}/v2.0"))
    assert signed_in(provider, fake, id_token(fake.url, "n")).tenant == TENANT
    other = "22222222-2222-4333-8444-555555555555"
    assert not_genuine(provider, fake, id_token(fake.url, "n", tid=other, iss=f"{fake.url}/{other}/v2.0"))


def test_another_openid_provider_has_an_issuer_and_no_tenants(provider: OutlookProvider, fake: Fake) -> None:
    fake.on(DISCOVERY, discovery(fake.url, issuer="https://id.example", token_endpoint_auth_methods_supported=None))
    token = id_token(fake.url, "n", iss="https://id.example", tid=None, oid=None, kid=None)
    account = signed_in(provider, fake, token)
    assert (account.tenant, account.subject, account.kind) == ("https://id.example", "pairwise-adele", "work")
    assert fake.calls(TOKEN)[0].headers["Authorization"].startswith("Basic ")


def test_names_that_no_database_holds_are_cleaned(provider: OutlookProvider, fake: Fake) -> None:
    token = id_token(fake.url, "n", name="Ad\x00ele \ud800")
    assert signed_in(provider, fake, token).name == "Adele "

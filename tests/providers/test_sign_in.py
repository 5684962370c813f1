"""Signing in: the way to Microsoft, the way back, and every way it can end otherwise."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from portal.providers.base import Account, AccountKind
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.conftest import REDIRECT, TENANT, Fake, id_token, token_answer

TOKEN = "POST /common/oauth2/v2.0/token"


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    started = provider.begin_sign_in(REDIRECT)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(started.url).query).items()}
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
    assert form["client_id"] == "portal-client" and "client_secret" in form

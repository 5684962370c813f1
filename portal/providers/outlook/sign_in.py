"""Signing in at Microsoft: which permissions we ask for, and how an answer becomes a grant.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime

from portal.providers.base import (
    AccessEnded,
    AccessReason,
    Account,
    Busy,
    Gone,
    Grant,
    ProviderError,
    SignIn,
    SignInReason,
    SignInRefused,
    Tokens,
    Unreachable,
)
from portal.providers.outlook import graph, id_token
from portal.providers.outlook.callback import callback_error, refused
from portal.providers.outlook.caller import Caller
from portal.providers.outlook.http import Json, log
from portal.providers.outlook.tokens import TokenClient

CALENDAR_SCOPES = {"calendars.read", "calendars.readwrite"}
"""Without one of these there is nothing to sync. What we ask for is `tokens.SCOPES`."""


def begin(client: TokenClient, redirect_uri: str, *, login_hint: str = "", choose_account: bool = False) -> SignIn:
    """The authorization URL (RFC 6749 section 4.1.1) with state, nonce and an S256 challenge (RFC 7636 section 4.2).

    `login_hint` and `prompt=select_account` exclude each other at Microsoft; choosing wins.
    """
    metadata = client.discovery.metadata()
    state, nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    extra = {"prompt": "select_account"} if choose_account else {"login_hint": login_hint} if login_hint else {}
    url, _ = client.session(metadata, redirect_uri).create_authorization_url(
        metadata.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce, **extra
    )
    return SignIn(url=url, state=state, nonce=nonce, code_verifier=verifier)


def finish(
    client: TokenClient,
    caller: Caller,
    redirect_uri: str,
    answer: Mapping[str, str],
    *,
    state: str,
    nonce: str,
    code_verifier: str,
) -> Grant:
    """Judge the callback, redeem the code, validate the id_token, look whether there is a mailbox.

    Tokens that come with a sign-in we then refuse are revoked where the provider can, and dropped: until when they
    live the error says.
    """
    if not state or not hmac.compare_digest(answer.get("state", "").encode(errors="replace"), state.encode()):
        raise SignInRefused(SignInReason.NOT_GENUINE)
    if answer.get("error"):
        raise callback_error(answer)
    if not answer.get("code"):
        raise SignInRefused(SignInReason.FAILED)
    failure: ProviderError | None = None
    try:
        tokens, whole = client.redeem(answer["code"], redirect_uri, code_verifier)
    except ProviderError as error:
        failure = refused(error)
    if failure is not None:
        raise failure
    try:
        return Grant(_accept(client, caller, tokens, whole, nonce, client.line.now()), tokens)
    except ProviderError as error:
        failure = refused(error)
    if not drop(client, tokens):
        failure.dropped_until = tokens.expires_at
    raise failure


def _accept(client: TokenClient, caller: Caller, tokens: Tokens, whole: Json, nonce: str, now: datetime) -> Account:
    claims = id_token.validate(
        whole.get("id_token"), client.discovery, client_id=client.client_id, nonce=nonce, now=now
    )
    if not CALENDAR_SCOPES & {scope.lower() for scope in tokens.scopes}:
        raise SignInRefused(SignInReason.SCOPE_MISSING)
    _look_for_mailbox(caller, tokens.access_token)
    found = id_token.account(claims)
    if found.address and found.name:
        return found
    address, name = _ask_who(caller, tokens.access_token)
    return id_token.account(claims, address=address, name=name)


def _look_for_mailbox(caller: Caller, access_token: str) -> None:
    """Fail now, with a clear reason, rather than at the first sync. A moment's trouble does not lose the sign-in."""
    failure: ProviderError | None = None
    try:
        graph.default_calendar(caller, access_token)
    except (Unreachable, Busy):
        log.warning("the mailbox could not be looked at during sign-in")
    except Gone as error:
        failure = AccessEnded(AccessReason.NO_MAILBOX, request_id=error.request_id)
    if failure is not None:
        raise failure


def _ask_who(caller: Caller, access_token: str) -> tuple[str, str]:
    """Address and name from Graph, for an id_token that leaves them out."""
    try:
        return graph.me(caller, access_token)
    except ProviderError:
        return "", ""


def drop(client: TokenClient, tokens: Tokens) -> bool:
    """Revoke tokens that will never be stored, refresh token first, where the provider offers it. Whether it worked."""
    try:
        if not client.discovery.metadata().revocation_endpoint:
            return False
        if tokens.refresh_token:
            client.revoke(tokens.refresh_token, "refresh_token")
        client.revoke(tokens.access_token, "access_token")
    except ProviderError:
        log.warning("tokens of a refused sign-in could not be revoked; they were never stored")
        return False
    return True

"""The provider against the whole sandbox: every call, and weather ordered at its desk rather than patched into code."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.providers.base import (
    AccountKind,
    Gone,
    Grant,
    Rejected,
    SignInReason,
    SignInRefused,
)
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers import person
from tests.providers.conftest import Hook
from tests.providers.genuine import REDIRECT

ADELE, MEGAN, RAVI = "adele@contoso.example", "megan@outlook.example", "ravi@wingtip.example"


def test_it_works(outlook: OutlookProvider, desk: person.Desk, hook: Hook) -> None:
    grant = person.connect(outlook)
    assert (grant.account.address, grant.account.kind) == (ADELE, AccountKind.WORK)
    assert grant.account.tenant == "11111111-2222-4333-8444-555555555555" and grant.tokens.refresh_token
    access = outlook.refresh(grant.tokens.refresh_token).access_token

    calendars = outlook.calendars(access)
    assert len([calendar for calendar in calendars if calendar.is_default]) == 1
    pages = person.full_round(outlook, access, calendars[0].id)
    events = [event for page in pages for event in page.events]
    assert events and pages[-1].delta_link and all(not event.subject for event in events if event.is_private)

    url, received = hook
    made = outlook.subscribe(access, url, "client-state", datetime.now(UTC) + timedelta(days=2))
    assert [found.notification_url for found in outlook.subscriptions(access)] == [url]
    later = outlook.renew(access, made.id, datetime.now(UTC) + timedelta(days=3))
    assert later.id == made.id and later.expires_at > made.expires_at
    with pytest.raises(Rejected):
        outlook.subscribe(access, url, "client-state", datetime.now(UTC) + timedelta(days=2))

    desk("POST", f"accounts/{ADELE}/events", count=1, calendar=calendars[0].id)
    changes = outlook.next_changes(access, pages[-1].delta_link)
    assert len(changes.events) == 1
    for _ in range(100):
        if received:
            break
        threading.Event().wait(0.05)
    notification = outlook.parse_notifications(received[0])[0]
    assert (notification.subscription_id, notification.client_state) == (made.id, "client-state")

    assert outlook.unsubscribe(access, made.id)
    with pytest.raises(Gone):
        outlook.unsubscribe(access, made.id)
    with pytest.raises(Gone):
        outlook.renew(access, made.id, datetime.now(UTC) + timedelta(days=3))
    assert list(outlook.subscriptions(access)) == []


def test_a_personal_account(outlook: OutlookProvider) -> None:
    grant = person.connect(outlook, MEGAN)
    assert grant.account.kind is AccountKind.PERSONAL and outlook.calendars(grant.tokens.access_token)


def refused(outlook: OutlookProvider, address: str, **more: Any) -> SignInReason:
    started = outlook.begin_sign_in(REDIRECT, choose_account=True)
    answer = person.sign_in(started.url, address, **more)
    with pytest.raises(SignInRefused) as caught:
        outlook.finish_sign_in(
            REDIRECT, answer, state=started.state, nonce=started.nonce, code_verifier=started.code_verifier
        )
    return caught.value.reason


def test_who_cancels_comes_back_calmly(outlook: OutlookProvider) -> None:
    assert refused(outlook, ADELE, accept="Cancel") is SignInReason.CANCELLED


def test_a_scope_withheld(outlook: OutlookProvider, desk: person.Desk) -> None:
    desk("PATCH", f"accounts/{ADELE}", withheld=["Calendars.ReadWrite"])
    assert refused(outlook, ADELE) is SignInReason.SCOPE_MISSING


def test_no_mailbox(outlook: OutlookProvider, desk: person.Desk) -> None:
    desk("PATCH", f"accounts/{ADELE}", mailbox_error="MailboxNotEnabledForRESTAPI")
    assert refused(outlook, ADELE) is SignInReason.NO_MAILBOX


def test_a_replayed_code_and_a_wrong_verifier(outlook: OutlookProvider) -> None:
    started = outlook.begin_sign_in(REDIRECT, choose_account=True)
    answer = person.sign_in(started.url, ADELE)
    secrets = {"state": started.state, "nonce": started.nonce}
    with pytest.raises(SignInRefused) as caught:
        outlook.finish_sign_in(REDIRECT, answer, **secrets, code_verifier="x" * 43)
    assert caught.value.reason is SignInReason.EXPIRED
    again = person.sign_in(started.url, ADELE)
    outlook.finish_sign_in(REDIRECT, again, **secrets, code_verifier=started.code_verifier)
    with pytest.raises(SignInRefused) as caught:
        outlook.finish_sign_in(REDIRECT, again, **secrets, code_verifier=started.code_verifier)
    assert caught.value.reason is SignInReason.EXPIRED


def test_keys_roll_over(outlook: OutlookProvider, desk: person.Desk) -> None:
    person.connect(outlook)
    desk("POST", "keys/roll", forget=True)
    assert person.connect(outlook).account.address == ADELE


def test_secrets_stay_out_of_the_log(outlook: OutlookProvider, grant: Grant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    access = outlook.refresh(grant.tokens.refresh_token or "").access_token
    pages = person.full_round(outlook, access, outlook.calendars(access)[0].id)
    secrets = [access, grant.tokens.refresh_token, *(page.next_link or page.delta_link for page in pages)]
    ours = json.dumps([record.getMessage() for record in caplog.records if not record.name.startswith("werkzeug")])
    assert "next changes: 200" in ours and all(secret not in ours for secret in secrets if secret)
    assert "deltatoken=" not in ours and "skiptoken=" not in ours

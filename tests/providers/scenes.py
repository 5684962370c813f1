"""What the cassettes play: each scene drives the real provider, with the sandbox while recording, alone in a replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest

from portal.providers.base import AccountKind, Changes, Gone, Grant, LinkSpent, NewEvent, ProviderError, Rejected
from portal.providers.outlook import graph
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.cassettes import NONCE
from tests.providers.genuine import CLIENT_ID, NOW, REDIRECT

ADELE = "adele@contoso.example"
HOOK = "https://portal.example/webhooks/outlook-calendar"


def nothing(*_: Any, **__: Any) -> None:
    """In a replay there is nobody to press a button."""


@dataclass
class Stage:
    """The provider, and what only a recording can do: a person who signs in, a desk, a webhook, the true time."""

    provider: OutlookProvider
    sign_in: Callable[[str], dict[str, str]] = lambda _: {"code": "a-code"}
    desk: Callable[..., Any] = nothing
    hook: str = HOOK
    now: datetime = NOW
    redirect: str = REDIRECT
    rename: Callable[[str, str], None] = nothing
    rows: dict[str, str] = field(default_factory=dict)

    def connect(self) -> Grant:
        """Adele's grant. The state is of this run; the nonce is the cassettes' own."""
        started = self.provider.begin_sign_in(self.redirect, choose_account=True)
        answer = {"state": started.state, **self.sign_in(started.url.replace(started.nonce, NONCE))}
        return self.provider.finish_sign_in(
            self.redirect, answer, state=started.state, nonce=NONCE, code_verifier=started.code_verifier
        )

    def window(self) -> tuple[datetime, datetime]:
        """From a week ago for two months."""
        return self.now - timedelta(days=7), self.now + timedelta(days=60)


def sign_in(stage: Stage) -> None:
    """Discovery, the code's redemption, the signing keys, a look at the mailbox."""
    grant = stage.connect()
    assert grant.account.kind is AccountKind.WORK and "@" in grant.account.address
    assert grant.tokens.refresh_token and "Calendars.ReadWrite" in grant.tokens.scopes
    assert timedelta(hours=1) <= grant.tokens.expires_at - stage.now <= timedelta(hours=2)


def refresh(stage: Stage) -> None:
    """A refresh token is exchanged, and the new one again."""
    grant = stage.connect()
    once = stage.provider.refresh(grant.tokens.refresh_token or "")
    twice = stage.provider.refresh(once.refresh_token or "")
    assert len({grant.tokens.refresh_token, once.refresh_token, twice.refresh_token}) == 3
    assert "Calendars.ReadWrite" in twice.scopes


def profile(stage: Stage) -> None:
    """Who is signed in, and the default calendar."""
    access = stage.connect().tokens.access_token
    address, name = graph.me(stage.provider._caller, access)
    assert "@" in address and name
    assert graph.default_calendar(stage.provider._caller, access).is_default


def calendars(stage: Stage) -> None:
    """The list of calendars."""
    found = stage.provider.calendars(stage.connect().tokens.access_token)
    assert len(found) > 1 and len([each for each in found if each.is_default]) == 1
    assert len({each.id for each in found}) == len(found)


def changes(stage: Stage) -> None:
    """A full round over one calendar, a change, a deletion, and a link that is spent."""
    access = stage.connect().tokens.access_token
    calendar = next(each for each in stage.provider.calendars(access) if each.is_default)
    pages = [stage.provider.first_changes(access, calendar.id, *stage.window())]
    _follow(stage, access, pages)
    events = [event for page in pages for event in page.events]
    assert len(events) > 5 and any(event.is_all_day for event in events)
    assert any(event.is_private for event in events)
    assert all(bool(event.subject) is not event.is_private for event in events)
    series = [key for page in pages for key in page.removed]
    assert series and graph.series(stage.provider._caller, access, series[0])["subject"]

    made = stage.desk("POST", f"accounts/{ADELE}/events", count=1)
    link = pages[-1].delta_link or ""
    more = stage.provider.next_changes(access, link)
    assert len(more.events) == 1
    stage.desk("DELETE", f"accounts/{ADELE}/events/{made['ids'][0]}" if made else "")
    fewer = stage.provider.next_changes(access, more.delta_link or "")
    assert more.events[0].id in fewer.removed
    stage.desk("POST", f"accounts/{ADELE}/spend-deltas", how="410")
    with pytest.raises(LinkSpent):
        stage.provider.next_changes(access, fewer.delta_link or "")


def _follow(stage: Stage, access: str, pages: list[Changes]) -> None:
    while pages[-1].next_link is not None:
        pages.append(stage.provider.next_changes(access, pages[-1].next_link))


def subscriptions(stage: Stage) -> None:
    """A subscription is made, refused a second time, listed, renewed, deleted, and then is gone."""
    provider, access = stage.provider, stage.connect().tokens.access_token
    made = provider.subscribe(access, stage.hook, "a-client-state", stage.now + timedelta(days=2))
    assert made.notification_url == stage.hook and made.resource.endswith("me/events")
    with pytest.raises(Rejected):
        provider.subscribe(access, stage.hook, "a-client-state", stage.now + timedelta(days=2))
    assert [each.id for each in provider.subscriptions(access)] == [made.id]
    assert provider.renew(access, made.id, stage.now + timedelta(days=3)).expires_at > made.expires_at
    provider.unsubscribe(access, made.id)
    with pytest.raises(Gone):
        provider.unsubscribe(access, made.id)
    assert list(provider.subscriptions(access)) == []


MEETING = NewEvent("Review", "Room 1", NOW, NOW + timedelta(hours=1), "meeting-1", "transaction-1")


def meetings(stage: Stage) -> None:
    """A meeting of ours is written, written again without a twin, removed, and then is gone."""
    provider, access = stage.provider, stage.connect().tokens.access_token
    calendar = next(each for each in provider.calendars(access) if each.is_default)
    made = provider.write_event(access, calendar.id, MEETING)
    assert provider.write_event(access, calendar.id, MEETING) == made
    assert provider.remove_event(access, made) is not None
    with pytest.raises(Gone):
        provider.remove_event(access, made)


def grants(stage: Stage) -> None:
    """The application's own token, its place in the directory, a person's consent found and deleted, then none."""
    account = stage.connect().account
    stage.rename(account.subject, "oid-adele")  # as the id_token of every replay has it
    roles = ["DelegatedPermissionGrant.ReadWrite.All"]
    stage.desk("PATCH", f"tenants/contoso.example/applications/{CLIENT_ID}", app_roles=roles)
    done = stage.provider.withdraw_consent(account.tenant, account.subject)
    assert (done.removed, done.tenant_wide) == (1, False)
    assert stage.provider.withdraw_consent(account.tenant, account.subject).removed == 0


TOKEN_ERRORS: dict[int, str] = {
    50173: "token_expired", 700082: "token_expired", 70008: "token_expired", 70043: "sign_in_needed",
    65001: "consent_withdrawn", 70000: "consent_withdrawn", 50076: "sign_in_needed", 50079: "sign_in_needed",
    50074: "sign_in_needed", 50072: "sign_in_needed", 50158: "sign_in_needed", 53000: "policy_blocks",
    53001: "policy_blocks", 53002: "policy_blocks", 53003: "policy_blocks", 530032: "policy_blocks",
    50057: "account_disabled", 50034: "account_missing", 50020: "account_missing", 51004: "account_missing",
    500011: "OurFault", 700016: "app_removed", 7000112: "app_removed", 70001: "app_removed", 7000215: "OurFault",
    7000222: "OurFault", 700027: "OurFault", 50012: "OurFault", 7000218: "OurFault", 700084: "OurFault",
    54005: "token_expired", 501481: "token_expired", 50147: "token_expired", 700005: "token_expired", 50196: "Busy",
    90033: "Unreachable", 90006: "Unreachable", 50033: "Unreachable", 70012: "Unreachable", 90055: "Unreachable",
}  # fmt: skip
"""Microsoft's table of token errors: AADSTS number, and the reason or error that a refresh must end in."""


def token_errors(stage: Stage) -> None:
    """Each row of the table, met by a refresh."""
    refresh_token = stage.connect().tokens.refresh_token or ""
    for number in TOKEN_ERRORS:
        stage.desk("POST", "faults", kind="status", endpoint="token", aadsts=number, status=400)
        with pytest.raises(ProviderError) as caught:
            stage.provider.refresh(refresh_token)
        stage.rows[str(number)] = getattr(caught.value, "reason", type(caught.value).__name__)
    assert stage.rows == {str(number): outcome for number, outcome in TOKEN_ERRORS.items()}


GRAPH_ERRORS: dict[tuple[int, str], str] = {
    (401, "InvalidAuthenticationToken"): "AccessExpired",
    (403, "insufficient_claims"): "sign_in_needed",
    (403, "ErrorAccessDenied"): "scope_missing",
    (403, "Authorization_RequestDenied"): "Rejected",
    (403, "accessDenied"): "Rejected",
    (404, "ErrorItemNotFound"): "Gone",
    (404, "ResourceNotFound"): "Gone",
    (404, "Request_ResourceNotFound"): "Gone",
    (404, "MailboxNotEnabledForRESTAPI"): "no_mailbox",
    (404, "MailboxNotSupportedForRESTAPI"): "no_mailbox",
    (404, "MailboxNotHostedInExchangeOnline"): "no_mailbox",
    (409, "Conflict"): "Rejected",
    (410, "resyncRequired"): "Rejected",  # a list is no link to changes
    (400, "syncStateNotFound"): "Rejected",
    (412, "ErrorIrresolvableConflict"): "Rejected",
    (429, "TooManyRequests"): "Busy",
    (429, "ApplicationThrottled"): "Busy",
    (500, "generalException"): "Unreachable",
    (503, "serviceNotAvailable"): "Unreachable",
    (504, "GatewayTimeout"): "Unreachable",
}
"""Microsoft's table of Graph errors: status and code, and the reason or error that a call must end in."""


def graph_errors(stage: Stage) -> None:
    """Each row of the table, met by the list of calendars; a throttled call says how long to wait."""
    access = stage.connect().tokens.access_token
    for status, code in GRAPH_ERRORS:
        more = {"retry_after": "2.128"} if status in {429, 503} else {}
        stage.desk("POST", "faults", kind="status", endpoint="calendars", status=status, code=code, **more)
        with pytest.raises(ProviderError) as caught:
            stage.provider.calendars(access)
        stage.rows[f"{status} {code}"] = getattr(caught.value, "reason", type(caught.value).__name__)
        assert caught.value.retry_after == (2.128 if more else None)
    assert stage.rows == {f"{status} {code}": outcome for (status, code), outcome in GRAPH_ERRORS.items()}


SCENES = (sign_in, refresh, profile, calendars, changes, subscriptions, meetings, grants, token_errors, graph_errors)

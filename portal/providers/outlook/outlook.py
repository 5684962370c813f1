"""The Outlook provider: the contract's methods, each one line to the file that does the work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote

from requests.adapters import BaseAdapter

from portal.providers.base import (
    AccountKind,
    Calendar,
    Changes,
    ConsentFinding,
    ConsentPage,
    ConsentWithdrawal,
    Grant,
    Handover,
    NewEvent,
    Notification,
    SignIn,
    Subscription,
    Tokens,
)
from portal.providers.outlook import administrators, consent_check, grants, graph, meetings, notices, sign_in
from portal.providers.outlook.caller import Caller
from portal.providers.outlook.certificate import Certificate
from portal.providers.outlook.consent import consent_page
from portal.providers.outlook.discovery import Discovery, discovery_url
from portal.providers.outlook.http import Line
from portal.providers.outlook.tokens import TokenClient
from portal.providers.outlook.wire import Wire


def _now() -> datetime:
    return datetime.now(UTC)


class OutlookProvider:
    """Outlook Calendar of one cloud (`authority`, `graph_url`) and one registration in it.

    With a `certificate` (PEM: private key and certificate) it proves itself by that, else by the secret.
    `timeout` bounds each call as a whole, in seconds. `now` and `adapter` are where the time and the transport come
    from. May be shared by threads.
    """

    key = "outlook-calendar"
    title = "Outlook Calendar"

    def __init__(
        self,
        authority: str,
        graph_url: str,
        tenant: str,
        client_id: str,
        client_secret: str,
        timeout: float,
        user_agent: str,
        *,
        certificate: bytes = b"",
        now: Callable[[], datetime] = _now,
        adapter: BaseAdapter | None = None,
    ) -> None:
        authority = authority.rstrip("/")
        line = Line(adapter or Wire(timeout), user_agent, now)
        discovery = Discovery(line, discovery_url(authority, tenant))
        self._authority = authority
        self._tenant = tenant
        proof = Certificate.read(client_id, certificate, now) if certificate else None
        self._client = TokenClient(line, discovery, client_id, client_secret, proof)
        self._caller = Caller(line, graph_url.rstrip("/"), timeout)

    def begin_sign_in(self, redirect_uri: str, *, login_hint: str = "", choose_account: bool = False) -> SignIn:
        """See the contract; sign_in.py."""
        return sign_in.begin(self._client, redirect_uri, login_hint=login_hint, choose_account=choose_account)

    def finish_sign_in(
        self, redirect_uri: str, answer: Mapping[str, str], *, state: str, nonce: str, code_verifier: str
    ) -> Grant:
        """See the contract; sign_in.py."""
        return sign_in.finish(
            self._client, self._caller, redirect_uri, answer, state=state, nonce=nonce, code_verifier=code_verifier
        )

    def refresh(self, refresh_token: str) -> Tokens:
        """See the contract; tokens.py."""
        return self._client.refresh(refresh_token)

    def can_revoke(self) -> bool:
        """See the contract. False at Microsoft, whose metadata names no revocation endpoint."""
        return bool(self._client.discovery.metadata().revocation_endpoint)

    def revoke(self, token: str, hint: str) -> None:
        """See the contract; tokens.py."""
        self._client.revoke(token, hint)

    def calendars(self, access_token: str) -> tuple[Calendar, ...]:
        """See the contract; graph.py."""
        return graph.calendars(self._caller, access_token)

    def first_changes(self, access_token: str, calendar_id: str, starts: datetime, ends: datetime) -> Changes:
        """See the contract; graph.py."""
        return graph.first_changes(self._caller, access_token, calendar_id, starts, ends)

    def next_changes(self, access_token: str, link: str) -> Changes:
        """See the contract; graph.py."""
        return graph.next_changes(self._caller, access_token, link)

    def subscribe(self, access_token: str, url: str, client_state: str, expires_at: datetime) -> Subscription:
        """See the contract; graph.py."""
        return graph.subscribe(self._caller, access_token, url, client_state, expires_at)

    def subscriptions(self, access_token: str) -> Iterator[Subscription]:
        """See the contract; graph.py."""
        return graph.subscriptions(self._caller, access_token)

    def renew(self, access_token: str, subscription_id: str, expires_at: datetime) -> Subscription:
        """See the contract; graph.py."""
        return graph.renew(self._caller, access_token, subscription_id, expires_at)

    def unsubscribe(self, access_token: str, subscription_id: str) -> str:
        """See the contract; graph.py."""
        return graph.unsubscribe(self._caller, access_token, subscription_id)

    def write_event(self, access_token: str, calendar_id: str, event: NewEvent) -> str:
        """See the contract; meetings.py."""
        return meetings.write(self._caller, access_token, calendar_id, event)

    def find_event(self, access_token: str, calendar_id: str, mark: str) -> str | None:
        """See the contract; meetings.py."""
        return meetings.find(self._caller, access_token, calendar_id, mark)

    def remove_event(self, access_token: str, event_id: str) -> str | None:
        """See the contract; meetings.py."""
        return meetings.remove(self._caller, access_token, event_id)

    def parse_notifications(self, body: bytes) -> tuple[Notification, ...]:
        """See the contract; notices.py."""
        return notices.notifications(body)

    def begin_consent_check(self, redirect_uri: str) -> SignIn:
        """See the contract; consent_check.py."""
        return consent_check.begin(self._client, redirect_uri)

    def read_consent_check(self, answer: Mapping[str, str]) -> ConsentFinding:
        """See the contract; consent_check.py."""
        return consent_check.read(answer)

    def consent_page(self, kind: AccountKind, *, tenant_wide: bool = False) -> ConsentPage:
        """See the contract; consent.py."""
        return consent_page(self._authority, kind, tenant_wide=tenant_wide)

    def handover(self, redirect_uri: str) -> Handover:
        """See the contract; administrators.py."""
        return administrators.handover(
            self._authority, self._caller.graph_url, self._tenant, self._client.client_id, redirect_uri
        )

    def withdraw_consent(
        self, tenant: str, subject: str, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> ConsentWithdrawal:
        """See the contract; grants.py. The application signs in to the directory that the account belongs to."""
        discovery = Discovery(self._client.line, discovery_url(self._authority, quote(tenant, safe="")))
        return grants.withdraw(replace(self._client, discovery=discovery), self._caller, subject, still_wanted)

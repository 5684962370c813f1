"""The contract between the portal and a vendor: one protocol, its value types and a closed family of errors.

Workflows know this file and nothing else of a provider. No HTTP status, JSON key or OAuth code passes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

# --- value types ----------------------------------------------------------------------------------------------------


class AccountKind(StrEnum):
    """Who governs an account: an organisation (with an administrator) or the person alone."""

    WORK = "work"
    PERSONAL = "personal"


@dataclass(frozen=True)
class SignIn:
    """A sign-in about to start: where to send the browser, and the secrets the callback must match (RFC 6749, 7636)."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)


@dataclass(frozen=True)
class Account:
    """An account at the vendor. The key is `(tenant, subject)`, never the address, which may change hands."""

    tenant: str
    subject: str
    address: str
    name: str
    kind: AccountKind


@dataclass(frozen=True)
class Tokens:
    """What a token endpoint answered. `refresh_token` is None where the vendor sent none."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_at: datetime
    scopes: frozenset[str]


@dataclass(frozen=True)
class Grant:
    """A finished sign-in: whose account it is and the tokens that came with it."""

    account: Account
    tokens: Tokens


@dataclass(frozen=True)
class Calendar:
    """One calendar of an account."""

    id: str
    name: str
    is_default: bool
    can_edit: bool


@dataclass(frozen=True)
class Event:
    """One event as we keep it. `subject` is empty for private events: it never leaves translate.py.

    `starts_at`/`ends_at` are UTC; an all-day event runs from midnight to midnight of its own days.
    """

    id: str
    subject: str
    starts_at: datetime
    ends_at: datetime
    is_all_day: bool
    is_private: bool
    show_as: str


@dataclass(frozen=True)
class Changes:
    """One page of changes. Exactly one of the two links is set; both are secrets (they carry state of the mailbox)."""

    events: tuple[Event, ...]
    removed: tuple[str, ...]
    next_link: str | None = field(repr=False)
    delta_link: str | None = field(repr=False)


@dataclass(frozen=True)
class Subscription:
    """A webhook registration at the vendor. `notification_url` tells whose it is."""

    id: str
    resource: str
    notification_url: str
    expires_at: datetime


@dataclass(frozen=True)
class Notification:
    """One change notification after parsing. `client_state` is compared with ours before anything is believed.

    `lifecycle` is "" for a change, else `missed`, `subscriptionRemoved` or `reauthorizationRequired`.
    """

    subscription_id: str
    client_state: str = field(repr=False)
    lifecycle: str = ""


@dataclass(frozen=True)
class NewEvent:
    """A meeting of ours to be written into a calendar of theirs: no attendees, so nobody is mailed.

    `mark` is put on the event so that it can be known as ours; the same `transaction_id` twice makes one event.
    """

    title: str
    place: str
    starts_at: datetime
    ends_at: datetime
    mark: str
    transaction_id: str


class ConsentFinding(StrEnum):
    """What a look at the person's consent, without any token of ours, has found."""

    STILL_THERE = "still_there"
    WITHDRAWN = "withdrawn"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ConsentPage:
    """Where a person (or their administrator) withdraws what we cannot: the page, and who can use it."""

    url: str
    who: str  # "you" or "admin"
    title: str


@dataclass(frozen=True)
class ConsentWithdrawal:
    """What became of a person's consent: how many of their own were deleted, and whether there is one for everybody.

    `refused` were not deleted, because the vendor said no. `trouble` kept us from trying all; it may be tried again.
    `left` is set when the rest was left, because it was not wanted any more.
    """

    removed: int
    tenant_wide: bool
    request_ids: tuple[str, ...]
    refused: int = 0
    trouble: ProviderError | None = None
    left: bool = False


@dataclass(frozen=True)
class Handover:
    """What is handed to an administrator: a link, and lines to copy. Names no account.

    `approve` is the page that allows the app for everybody. `powershell` and `requests` withdraw consent without us;
    `allow` gives the app the right that `withdraw_consent` needs, and `undo` takes it back.
    """

    approve: str
    powershell: str
    requests: str
    allow: str
    undo: str


# --- the closed family of errors ------------------------------------------------------------------------------------


class ProviderError(Exception):
    """The root of everything a provider raises. Texts are ours and safe to show; no secret and no vendor text.

    `dropped_until` is the last moment of a token that was issued to us with what failed, and dropped: somebody has to
    be told of it.
    """

    sentence = "The calendar provider could not do what we asked."
    dropped_until: datetime | None = None

    def __init__(self, detail: str = "", *, request_id: str = "", retry_after: float | None = None) -> None:
        super().__init__(detail or self.sentence)
        self.detail = detail
        self.request_id = request_id
        self.retry_after = retry_after


class Unreachable(ProviderError):
    """No usable answer: refused, reset, timed out, TLS failure, 5xx, or an answer that makes no sense. Try again."""

    sentence = "Microsoft is not answering."


class Busy(ProviderError):
    """The vendor asks us to slow down; `retry_after` is in seconds, None when it did not say."""

    sentence = "Microsoft asks us to slow down."


class AccessReason(StrEnum):
    """Why access ended at the vendor's side. The value is stored and chosen from in templates."""

    CONSENT_WITHDRAWN = "consent_withdrawn"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a reason, not a secret
    SIGN_IN_NEEDED = "sign_in_needed"
    POLICY_BLOCKS = "policy_blocks"
    ACCOUNT_DISABLED = "account_disabled"
    ACCOUNT_MISSING = "account_missing"
    APP_REMOVED = "app_removed"
    SCOPE_MISSING = "scope_missing"
    NO_MAILBOX = "no_mailbox"
    TOKEN_UNREADABLE = "token_unreadable"  # noqa: S105


class AccessEnded(ProviderError):
    """Our access to this account is over or paused until the person acts. `reason` says which."""

    sentence = "Microsoft no longer lets us into this account."

    def __init__(self, reason: AccessReason, detail: str = "", *, request_id: str = "") -> None:
        super().__init__(detail, request_id=request_id)
        self.reason = reason


class AccessExpired(ProviderError):
    """The access token is not accepted (any more): refresh once and try once again."""

    sentence = "The access token has expired."


class OurFault(ProviderError):
    """Our own registration is wrong (secret wrong or expired, unknown client). An operator's alarm, nobody's tokens."""

    sentence = "Coordinoter's own registration at Microsoft has a problem. Our operators have been told."


class Rejected(ProviderError):
    """The vendor understood and said no; trying the same again will not help."""

    sentence = "Microsoft refused the request."


class Gone(ProviderError):
    """The thing named does not exist (any more). For a deletion this is success."""

    sentence = "It is already gone at Microsoft."


class LinkSpent(ProviderError):
    """The delta link is too old: start a full round and drop what it does not mention."""

    sentence = "Microsoft asks for a full sync."


class SignInReason(StrEnum):
    """Why a sign-in did not end in a connection."""

    CANCELLED = "cancelled"
    DECLINED = "declined"
    ADMIN_APPROVAL_NEEDED = "admin_approval_needed"
    EXPIRED = "expired"
    POLICY_BLOCKS = "policy_blocks"
    SCOPE_MISSING = "scope_missing"
    NO_MAILBOX = "no_mailbox"
    NOT_GENUINE = "not_genuine"
    FAILED = "failed"


class SignInRefused(ProviderError):
    """The person, their admin or the vendor said no to this sign-in. `reason` picks the calm page."""

    sentence = "The connection was not made."

    def __init__(self, reason: SignInReason, detail: str = "", *, request_id: str = "") -> None:
        super().__init__(detail, request_id=request_id)
        self.reason = reason


# --- the contract ---------------------------------------------------------------------------------------------------


class Provider(Protocol):
    """One vendor. Every method that goes out has a timeout and raises only the family above.

    Methods that act on a mailbox take a living access token; `Unreachable` and `Busy` may be tried again.
    """

    key: str
    """The integration's slug, as in URLs: `outlook-calendar`."""

    title: str
    """What people call the integration: `Outlook Calendar`."""

    def begin_sign_in(self, redirect_uri: str, *, login_hint: str = "", choose_account: bool = False) -> SignIn:
        """Make the authorization URL with fresh state, nonce and PKCE S256 verifier. May ask discovery."""
        ...

    def finish_sign_in(
        self, redirect_uri: str, answer: Mapping[str, str], *, state: str, nonce: str, code_verifier: str
    ) -> Grant:
        """Judge the callback's parameters, redeem the code, validate the id_token. Raises SignInRefused and others."""
        ...

    def refresh(self, refresh_token: str) -> Tokens:
        """Exchange a refresh token (RFC 6749 section 6). Raises AccessEnded when the vendor will not."""
        ...

    def can_revoke(self) -> bool:
        """Whether the vendor's metadata offers RFC 7009 revocation. May ask discovery."""
        ...

    def revoke(self, token: str, hint: str) -> None:
        """RFC 7009; `hint` is `refresh_token` or `access_token`. Only where `can_revoke()`."""
        ...

    def calendars(self, access_token: str) -> tuple[Calendar, ...]:
        """Every calendar of the account, all pages."""
        ...

    def first_changes(self, access_token: str, calendar_id: str, starts: datetime, ends: datetime) -> Changes:
        """The first page of a full round over the window (UTC)."""
        ...

    def next_changes(self, access_token: str, link: str) -> Changes:
        """The page behind a `next_link` or `delta_link`. Raises LinkSpent when a full round is needed."""
        ...

    def subscribe(self, access_token: str, url: str, client_state: str, expires_at: datetime) -> Subscription:
        """Ask for change notifications on the mailbox's events. The handshake reaches `url` while this call waits."""
        ...

    def subscriptions(self, access_token: str) -> Iterator[Subscription]:
        """Every subscription of this app for the signed-in account."""
        ...

    def renew(self, access_token: str, subscription_id: str, expires_at: datetime) -> Subscription:
        """Move a subscription's end. Raises Gone."""
        ...

    def unsubscribe(self, access_token: str, subscription_id: str) -> str:
        """Delete a subscription; returns the vendor's request id. Raises Gone when it did not exist."""
        ...

    def write_event(self, access_token: str, calendar_id: str, event: NewEvent) -> str:
        """Write a meeting of ours into a calendar; returns the event's id. Repeating it makes no twin."""
        ...

    def find_event(self, access_token: str, calendar_id: str, mark: str) -> str | None:
        """The id of the event in a calendar ("" is the vendor's default) that carries a mark of ours.

        The mark is `NewEvent.mark`; None when there is none. Raises Gone for a calendar that is not there.
        """
        ...

    def remove_event(self, access_token: str, event_id: str) -> str | None:
        """Delete an event we wrote; returns the vendor's request id. Raises Gone.

        None, and nothing deleted, when somebody has invited attendees to it: deleting would mail them cancellations.
        """
        ...

    def parse_notifications(self, body: bytes) -> tuple[Notification, ...]:
        """Read a webhook delivery. Raises Rejected for a body that is not one."""
        ...

    def begin_consent_check(self, redirect_uri: str) -> SignIn:
        """An address that finds out, in the person's own browser and without asking anything, whether consent stands.

        A code that comes back from it is never redeemed.
        """
        ...

    def read_consent_check(self, answer: Mapping[str, str]) -> ConsentFinding:
        """What the callback's parameters of such a check mean. Never raises."""
        ...

    def consent_page(self, kind: AccountKind, *, tenant_wide: bool = False) -> ConsentPage:
        """Where consent is withdrawn by hand: by the person, or by the administrator who gave it for everybody."""
        ...

    def handover(self, redirect_uri: str) -> Handover:
        """What an administrator needs to act in our stead. Asks nobody."""
        ...

    def withdraw_consent(
        self, tenant: str, subject: str, *, still_wanted: Callable[[], bool] = lambda: True
    ) -> ConsentWithdrawal:
        """Delete this person's own consent, with a right of the application's own. No token of theirs is involved.

        `still_wanted` is asked right before each deletion: the vendor has no condition to send along.
        Raises Rejected where nobody gave the application that right. What the vendor is to blame for is raised before
        the first deletion, or told as `trouble`.
        """
        ...

"""Withdraw the person's permission at the vendor: by us where their business asked for it, else by them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from portal.db import db
from portal.models import Connection
from portal.models.connection import CONNECTED, NEEDS_ATTENTION
from portal.models.disconnection_step import DONE, LEFT_TO_YOU
from portal.providers.base import AccountKind, Provider, Rejected
from portal.workflows.promise import Ended, Work, count_of

BY_YOU = "Microsoft lets only you remove Coordinoter's permission from your account."
BY_YOU_OR_ADMIN = (
    "Microsoft lets only you remove Coordinoter's permission, or your administrator, "
    "if your organisation approved it for everyone."
)
SHARED = (
    "Another connection here still uses the same account. The permission is one for both, so we left it; "
    "you can remove it, which ends the other connection too."
)
REFUSED = (
    "Your business wants Coordinoter to remove permissions, but Microsoft refused. Mostly that means: the application "
    "permission for that is missing in your organisation. You can remove yours yourself."
)
FORGOTTEN = "The key that we used for this was not stored; it lapses by itself within 90 minutes."
FOR_EVERYONE = "Your organisation has approved Coordinoter for everyone; only your administrator can take that back."


@dataclass(frozen=True)
class _Account:
    """What the step has to know, read at once: no transaction is open while Microsoft is asked."""

    kind: AccountKind
    tenant: str
    subject: str
    wanted: bool
    shared: bool


def withdraw(work: Work, provider: Provider) -> Ended:
    """The outcome where tokens cannot be revoked: the consent itself is deleted, or left to those who can."""
    account = _read(work)
    if account.shared:
        return _left(provider, account.kind, SHARED)
    if not account.wanted:
        return _left(provider, account.kind, BY_YOU if account.kind is AccountKind.PERSONAL else BY_YOU_OR_ADMIN)
    try:
        done = provider.withdraw_consent(account.tenant, account.subject)
    except Rejected as refused:
        return _left(provider, account.kind, REFUSED, [refused.request_id] if refused.request_id else [])
    ids = list(done.request_ids)
    if done.tenant_wide:
        page = provider.consent_page(account.kind, tenant_wide=True)
        own = "Your own permission was removed at Microsoft. " if done.removed else ""
        detail = f"{own}{FOR_EVERYONE} {FORGOTTEN}"
        return Ended(LEFT_TO_YOU, detail, done.removed, ids, link=page.url, link_title=page.title)
    if not done.removed:
        return Ended(DONE, f"There was no permission of yours left at Microsoft. {FORGOTTEN}", 0)
    return Ended(DONE, f"{count_of(done.removed, 'permission')} removed at Microsoft. {FORGOTTEN}", done.removed, ids)


def _read(work: Work) -> _Account:
    row = work.row()
    connection = db.session.get(Connection, row.connection_id)
    kind, asked = AccountKind(row.account_kind), row.member.business.removes_grants
    tenant = (connection.account_tenant if connection else None) or ""
    subject = (connection.account_subject if connection else None) or ""
    # Half-made sign-ins have no account yet; a connection on its way out relies on nothing any more.
    shared = db.session.scalar(
        select(Connection.id).where(
            Connection.id != row.connection_id,
            Connection.integration == row.integration,
            Connection.account_tenant == tenant,
            Connection.account_subject == subject,
            Connection.state.in_((CONNECTED, NEEDS_ATTENTION)),
        )
    )
    db.session.rollback()
    known = bool(tenant and subject)
    return _Account(kind, tenant, subject, asked and known and kind is AccountKind.WORK, known and shared is not None)


def _left(provider: Provider, kind: AccountKind, detail: str, request_ids: list[str] | None = None) -> Ended:
    page = provider.consent_page(kind)
    return Ended(LEFT_TO_YOU, detail, request_ids=request_ids or [], link=page.url, link_title=page.title)

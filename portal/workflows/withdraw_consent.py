"""Withdraw the person's permission at the vendor: by us where their business asked for it, else by them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import select

from portal.db import db, reads_only
from portal.models import Connection
from portal.models.connection import CONNECTED, NEEDS_ATTENTION
from portal.models.disconnection_step import DONE, LEFT_TO_YOU
from portal.providers.base import AccountKind, ConsentWithdrawal, Provider, Rejected
from portal.workflows.promise import Ended, Work, count_of

STEP = "withdraw_access"

BY_YOU = "Microsoft lets only you remove Coordinoter's permission from your account."
BY_YOU_OR_ADMIN = (
    "Microsoft lets only you remove Coordinoter's permission, or your administrator, "
    "if your organisation approved it for everyone."
)
SHARED = (
    "Another connection here still uses the same account. The permission is one for both, so we left it; "
    "you can remove it, which ends the other connection too."
)
THEN_SHARED = (
    "Then another connection here began to use the same account, so we left what there was still; "
    "you can remove it, which ends the other connection too."
)
THEN_UNWANTED = "Then your business stopped asking for that. What is left there, you can remove."
SHARED_TOO = "Another connection here uses the same account, and ends with it."
REFUSED = (
    "Your business wants Coordinoter to remove permissions, but Microsoft refused. Mostly that means: the application "
    "permission for that is missing in your organisation. You can remove yours yourself."
)
THEN_REFUSED = "Then Microsoft refused to let us go on. If anything is left, you can remove it yourself."
STILL_REFUSED = "Microsoft refused to remove {} more: that is left to you."
FORGOTTEN = (
    "Any key that Microsoft gave the application itself for this was not stored; it lapses by itself, mostly within 90 "
    "minutes, within a day at the latest."
)
NONE_LEFT = "There was no permission of yours left at Microsoft."
PERHAPS_OURS = "An earlier try of ours may have removed it."
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
    before = work.done_before(STEP)
    if account.shared or not account.wanted:
        # An earlier try was made while it was wanted, and may have been given a key.
        key = f" {FORGOTTEN}" if before or (account.wanted and work.attempts(STEP) > 1) else ""
        why = f"{removed(before)}{_why_not(account, begun=bool(before))}{key}"
        return replace(_left(provider, account.kind, why), count=before or None)
    try:
        # Whoever freezes, and thaws when this has ended and the person connected again, must not remove what is new.
        wanted = partial(_is_still_wanted, work)
        done = provider.withdraw_consent(account.tenant, account.subject, still_wanted=wanted)
    except Rejected as refused:
        told = f"{removed(before)}{THEN_REFUSED if before else REFUSED} {FORGOTTEN}"
        ids = [refused.request_id] if refused.request_id else []
        return replace(_left(provider, account.kind, told, ids), count=before or None)
    if done.trouble is not None:
        work.note_done(STEP, done.removed, list(done.request_ids))
        raise done.trouble
    if done.left:
        total, everybody = before + done.removed, f"{FOR_EVERYONE} " if done.tenant_wide else ""
        told = f"{removed(total)}{_why_not(_read(work), begun=bool(total))} {everybody}{FORGOTTEN}"
        return replace(_left(provider, account.kind, told, list(done.request_ids)), count=total or None)
    ended = _told(provider, account.kind, before + done.removed, done)
    if ended.detail.startswith(NONE_LEFT) and work.attempts(STEP) > 1:
        return replace(ended, detail=ended.detail.replace(NONE_LEFT, f"{NONE_LEFT} {PERHAPS_OURS}"))
    return ended


def removed(number: int) -> str:
    """How many are gone, as a sentence with a space behind it; "" for none."""
    return f"{count_of(number, 'permission')} removed at Microsoft. " if number else ""


def _told(provider: Provider, kind: AccountKind, total: int, done: ConsentWithdrawal) -> Ended:
    ids, everybody = list(done.request_ids), f"{FOR_EVERYONE} " if done.tenant_wide else ""
    if done.refused:
        left = f"{removed(total)}{STILL_REFUSED.format(count_of(done.refused, 'permission'))}" if total else REFUSED
        return replace(_left(provider, kind, f"{left} {everybody}{FORGOTTEN}", ids), count=total)
    if done.tenant_wide:
        page = provider.consent_page(kind, tenant_wide=True)
        own = "Your own permission was removed at Microsoft. " if total else ""
        detail = f"{own}{FOR_EVERYONE} {FORGOTTEN}"
        return Ended(LEFT_TO_YOU, detail, total, ids, link=page.url, link_title=page.title)
    if not total:
        return Ended(DONE, f"{NONE_LEFT} {FORGOTTEN}", 0, ids)
    return Ended(DONE, f"{removed(total)}{FORGOTTEN}", total, ids)


def _is_still_wanted(work: Work) -> bool:
    """Whether the business asks for it, nobody has come to rely on the permission, and the step has not ended."""
    with reads_only():
        # In this order: when all has ended, nothing tells any more whose account it was.
        account = _read(work)
        return account.wanted and not account.shared and work.is_open(STEP)


def _why_not(account: _Account, *, begun: bool) -> str:
    """Why the permission is left, or what is left of it when we had begun."""
    if account.shared:
        return THEN_SHARED if begun else SHARED
    if begun:
        return THEN_UNWANTED
    return BY_YOU if account.kind is AccountKind.PERSONAL else BY_YOU_OR_ADMIN


def is_asked_for(work: Work) -> bool:
    """Whether the business has asked us to remove the permission of this account; the short read is over."""
    return _read(work).wanted


def is_shared(work: Work) -> bool:
    """Whether another connection here relies on the same permission; the short read is over."""
    return _read(work).shared


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

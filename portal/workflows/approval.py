"""Waiting for an administrator's approval: remembered for the member until they are connected, or wait no longer."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from portal.db import db
from portal.models import Approval
from portal.workflows.activity import record


def wait(member_id: str, integration: str) -> None:
    """Remember it. Saying it twice keeps the first moment."""
    if waiting(member_id, integration) is None:
        try:
            with db.session.begin_nested():
                db.session.add(Approval(member_id=member_id, integration=integration))
        except IntegrityError:  # another tab said so in this moment
            pass
        else:
            record("connection:approval:wait", member_id=member_id, connection_id=None)
    db.session.commit()


def dismiss(member_id: str, integration: str) -> None:
    """Forget it: the member waits no longer."""
    forget(member_id, integration)
    db.session.commit()


def forget(member_id: str, integration: str) -> None:
    """The same as part of the caller's transaction."""
    mine = (Approval.member_id == member_id, Approval.integration == integration)
    db.session.execute(delete(Approval).where(*mine))


def waiting(member_id: str, integration: str) -> Approval | None:
    """What is remembered, if anything."""
    return db.session.scalar(
        select(Approval).where(Approval.member_id == member_id, Approval.integration == integration)
    )

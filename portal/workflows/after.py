"""After a disconnection: what only the person can do, said to be done or looked at again without a token of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import select

from portal import clock
from portal.db import db
from portal.models import Disconnection
from portal.parts import parts
from portal.workflows.activity import record

CHECK_LIFE = timedelta(minutes=10)


def say_done(disconnection_id: str) -> None:
    """The person says that they removed our permission at the vendor. Believed, and shown as their word."""
    row = db.session.get_one(Disconnection, disconnection_id, with_for_update=True, populate_existing=True)
    if row.said_done_at is None:
        row.said_done_at = clock.now()
        record("connection:consent:said_done", member_id=row.member_id, connection_id=row.connection_id)
    db.session.commit()


def begin_check(disconnection_id: str, browser: str) -> str:
    """Start a silent look at the consent in the person's own browser; returns the address to send it to."""
    slug = db.session.get_one(Disconnection, disconnection_id).integration
    db.session.rollback()
    question = parts().providers[slug].begin_consent_check(parts().settings.redirect_uri)
    row = db.session.get_one(Disconnection, disconnection_id, with_for_update=True)
    row.check_state_hash, row.check_browser = _hash(question.state), _hash(browser)
    row.check_expires_at = clock.now() + CHECK_LIFE
    db.session.commit()
    return question.url


def finish_check(member_id: str, browser: str, answer: Mapping[str, str]) -> str | None:
    """Take the answer of such a look; returns the disconnection's id, or None when this is no answer to one.

    A code in it is not redeemed: it lapses by itself within minutes.
    """
    row = db.session.scalar(
        select(Disconnection)
        .where(
            Disconnection.check_state_hash == _hash(answer.get("state", "")),
            Disconnection.check_browser == _hash(browser),
            Disconnection.member_id == member_id,
            Disconnection.check_expires_at > clock.now(),
        )
        .with_for_update()
    )
    if row is None:
        db.session.rollback()
        return None
    finding = parts().providers[row.integration].read_consent_check(answer)
    row.check_state_hash = row.check_browser = row.check_expires_at = None
    row.checked_at, row.check_finding = clock.now(), finding.value
    record(f"connection:consent:{finding.value}", member_id=member_id, connection_id=row.connection_id)
    disconnection_id = row.id
    db.session.commit()
    return disconnection_id


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

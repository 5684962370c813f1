"""Sign in: is this the password of that account? And sign out, which ends the session on our side."""

from __future__ import annotations

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select

from portal import clock, durable, live
from portal.db import db
from portal.models import Member, SignIn
from portal.models.sign_in import LASTS

hasher = PasswordHasher()
_at_once = threading.Semaphore(4)
"""How many hashes are computed at a time: each takes 64 MiB on purpose, and anybody may ask for one."""


def check_password(email: str, password: str) -> Member | None:
    """The member, or None. An unknown account costs the same work as a wrong password, so time tells nothing."""
    member = db.session.scalar(select(Member).where(Member.email == email.strip().lower()))
    # The database is not held while the hash is computed: that takes a good part of a second on purpose.
    stored = member.password_hash if member is not None else decoy()
    member_id = member.id if member is not None else None
    db.session.rollback()
    try:
        with _at_once:
            hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return None
    return db.session.get(Member, member_id) if member_id is not None else None


def begin(member_id: str) -> str:
    """Note that they are signed in; returns the name of this sign-in, for the session."""
    row = SignIn(member_id=member_id)
    db.session.add(row)
    db.session.commit()
    return row.id


def end(sign_in_id: str) -> None:
    """End one sign-in, and the streams of its pages: its cookie opens nothing from here on. Repeating does no harm."""
    if db.session.execute(delete(SignIn).where(SignIn.id == sign_in_id)).rowcount:  # type: ignore[attr-defined]
        live.tell(db.session(), live.sign_in(sign_in_id), live.SIGNED_OUT)
    db.session.commit()


@durable.every("forget_sign_ins", "11 3 * * *")
def forget_old() -> None:
    """Sign-ins that nobody has ended in time."""
    db.session.execute(delete(SignIn).where(SignIn.started_at < clock.now() - LASTS))
    db.session.commit()


@lru_cache(maxsize=1)
def decoy() -> str:
    """A hash that no password matches by accident, with the same cost as a real one."""
    return hasher.hash("a password that nobody has, for accounts that do not exist")

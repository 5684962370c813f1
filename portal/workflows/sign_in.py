"""Sign in: is this the password of that account?"""

from __future__ import annotations

import threading
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select

from portal.db import db
from portal.models import Member

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


@lru_cache(maxsize=1)
def decoy() -> str:
    """A hash that no password matches by accident, with the same cost as a real one."""
    return hasher.hash("a password that nobody has, for accounts that do not exist")

"""A crowd of connections without as many sign-ins: rows like those of one real connection, each sealed for itself."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select

from portal import clock
from portal.db import db, new_id
from portal.models import Calendar, Connection, Copy, Member, Subscription, Token
from portal.models.connection import CONNECTED
from portal.parts import parts
from portal.workflows import tokens
from portal.workflows.subscribe import CLIENT_STATE, LIFE, RENEW

COPIES = 10
CHUNK = 100  # connections in one transaction


def crowd(pattern_id: str, number: int, *, name: str) -> Iterator[tuple[str, str]]:
    """So many connections like the pattern, with its tokens; yields the ids of each connection and its member."""
    pattern = db.session.get_one(Connection, pattern_id)
    member, token = pattern.member, db.session.get_one(Token, pattern_id)
    access = tokens.open_sealed(pattern_id, tokens.ACCESS, token.access_sealed)
    refresh = tokens.open_sealed(pattern_id, tokens.REFRESH, token.refresh_sealed)
    same = {"integration": pattern.integration, "account_kind": pattern.account_kind, "state": CONNECTED}
    business, hashed, expires = member.business_id, member.password_hash, token.expires_at
    db.session.rollback()
    made: list[tuple[str, str]] = []
    for at in range(number):
        one = Member(business_id=business, email=f"{name}.{at}@northwind.example", name=f"C {at}", password_hash=hashed)
        db.session.add(one)
        db.session.flush()
        connection = Connection(member_id=one.id, connected_at=clock.now(), last_sync_at=clock.now(), **same)
        db.session.add(connection)
        db.session.flush()
        _fill(connection, access, refresh, expires)
        made.append((connection.id, one.id))
        if len(made) % CHUNK == 0:
            db.session.commit()
    db.session.commit()
    assert len(set(db.session.scalars(select(Connection.id)))) > number
    db.session.rollback()
    yield from made


def _fill(connection: Connection, access: str, refresh: str, expires: object) -> None:
    vault, now = parts().vault, clock.now()
    calendar = Calendar(connection_id=connection.id, provider_id=new_id(), name="Calendar", is_default=True)
    db.session.add(calendar)
    db.session.add(
        Token(
            connection_id=connection.id,
            epoch=connection.epoch,
            access_sealed=vault.seal(connection.id, tokens.ACCESS, access),
            refresh_sealed=vault.seal(connection.id, tokens.REFRESH, refresh),
            expires_at=expires,
            lapses_at=expires,
        )
    )
    db.session.add(
        Subscription(
            connection_id=connection.id,
            provider_id=new_id(),
            client_state_sealed=vault.seal(connection.id, CLIENT_STATE, "state"),
            expires_at=now + LIFE,
            renew_at=now + RENEW,
        )
    )
    db.session.flush()
    for _ in range(COPIES):
        db.session.add(
            Copy(
                connection_id=connection.id,
                calendar_id=calendar.id,
                provider_id=new_id(),
                subject="Planning",
                starts_at=now,
                ends_at=now,
            )
        )

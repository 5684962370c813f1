"""Count what operators should know about. Names are listed here, so that /metrics shows zeros too."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from portal.db import db
from portal.models import Counter

NAMES = {
    "tokens_disposed": "Tokens won after a disconnection's fence, revoked or dropped unstored.",
    "late_notifications": "Change notifications for no living subscription, thrown away.",
    "orphans_repaired": "Rows or keys of no living connection that the daily watch found and removed.",
    "runs_restarted": "Disconnections that the daily watch found stuck and started again.",
    "keys_rewritten_late": "Disconnections whose key database the daily watch could rewrite, which they could not.",
    "residue_found": "Things in raw files that should not be there, as the nightly look found them.",
    "residue_unread": "Nightly looks through raw files that were not taken, or could not read everything.",
    "our_faults": "Answers that say our own registration at the provider has a problem.",
}


def add(name: str, by: int = 1) -> None:
    """Add to a counter in a transaction of its own; the caller must have none open."""
    if by <= 0:
        return
    if name not in NAMES:
        raise KeyError(name)
    grow = update(Counter).where(Counter.name == name).values(value=Counter.value + by)
    if db.session.execute(grow).rowcount == 0:  # type: ignore[attr-defined]
        try:
            with db.session.begin_nested():
                db.session.add(Counter(name=name, value=by))
        except IntegrityError:  # another process made it in this moment
            db.session.execute(grow)
    db.session.commit()


def values() -> dict[str, int]:
    """Every counter."""
    found = {row.name: row.value for row in db.session.scalars(select(Counter))}
    return {name: found.get(name, 0) for name in NAMES}

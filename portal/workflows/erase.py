"""The local steps of a disconnection: erase, and then look whether anything is left."""

from __future__ import annotations

import logging

from sqlalchemy import Select, delete, func, select, update

from portal import clock
from portal.db import db
from portal.models import Calendar, Connection, Copy, Placement, SelfCheck, Subscription, Token
from portal.models.connection import CONNECTING
from portal.models.disconnection_step import DONE, FAILED
from portal.parts import parts
from portal.vault import KeysAway
from portal.workflows import traces
from portal.workflows.destroy_key import ANOTHER, NO_KEY, destroy_key, rewrite_files, was_destroyed, was_found
from portal.workflows.not_now import NotYet
from portal.workflows.promise import Ended, Work

logger = logging.getLogger("portal.erase")

PROOFS = 8  # tries to prove; each rewriting of the key database waits for others by itself, too


def erase_tokens(work: Work) -> Ended:
    """Erase every token.

    The key that seals your tokens is destroyed, so that no copy of them can be opened again, in back-ups neither.
    """
    row = work.row()
    connection_id, epoch = row.connection_id, row.epoch
    # From here on not even the disconnection itself may store a token: a twin of this run, started because this one
    # was taken for dead, would make a new key for what it refreshed.
    db.session.execute(
        update(Connection).where(Connection.id == connection_id, Connection.epoch == epoch).values(epoch=epoch + 1)
    )
    db.session.commit()
    attempts = list(db.session.scalars(_attempts(connection_id)))
    db.session.rollback()
    gone = destroy_key(work.id, connection_id)  # keys first: after a kill in between, the rows still say which
    for owner in attempts:
        parts().vault.destroy(owner)
    db.session.execute(delete(Token).where(Token.connection_id == connection_id))
    db.session.execute(delete(Connection).where(Connection.id.in_(attempts), Connection.state == CONNECTING))
    db.session.commit()
    if gone:
        return Ended(DONE, "Your tokens were deleted and the key that opened them was destroyed.")
    if was_destroyed(work.id, connection_id):  # at an earlier try, which was killed or cut off
        return Ended(DONE, "Your tokens were deleted; the key that opened them is gone.")
    logger.critical("disconnection %s found no key: was the key database lost, or is another one there?", work.id)
    return Ended(FAILED, f"Your tokens were deleted. {ANOTHER if was_found(work.id) else NO_KEY}")


def tokens_not_erased(work: Work, trouble: str) -> Ended:
    """The key database stayed away: delete what is sealed, and say that the key is still to be destroyed."""
    connection_id = work.row().connection_id
    attempts = list(db.session.scalars(_attempts(connection_id)))
    db.session.execute(delete(Token).where(Token.connection_id == connection_id))
    db.session.execute(delete(Connection).where(Connection.id.in_(attempts), Connection.state == CONNECTING))
    db.session.commit()
    return Ended(
        FAILED,
        f"{trouble} Your sealed tokens were deleted here, but the key that opens copies of them could not be "
        "destroyed yet. We try again in the last step, then every night, and this page says when it is done.",
    )


def erase_copies(work: Work) -> Ended:
    """Erase every copy.

    All copied events, calendars, bookmarks, links, self-checks and the name of your account are deleted here. Your
    calendar at Microsoft stays as it is.
    """
    connection_id = work.row().connection_id
    # Held first: a self-check that begins at this moment is either erased below, or finds no connection.
    db.session.scalar(select(Connection.id).where(Connection.id == connection_id).with_for_update())
    copies = db.session.scalar(select(func.count()).where(Copy.connection_id == connection_id)) or 0
    for table in (Copy, Calendar, Subscription, Token, Placement, SelfCheck):
        db.session.execute(delete(table).where(table.connection_id == connection_id))
    db.session.execute(delete(Connection).where(Connection.id == connection_id))
    row = work.row()
    told, calendars = max(copies, row.copies), row.calendars
    db.session.commit()
    return Ended(
        DONE,
        f"{told} copied {'event' if told == 1 else 'events'} and {calendars} "
        f"{'calendar' if calendars == 1 else 'calendars'} deleted, and with them the link to your account.",
        told,
    )


def copies_not_erased(work: Work, trouble: str) -> Ended:
    """The database refused every time: say that they are still here, and that the watch goes on trying."""
    db.session.rollback()
    logger.critical("disconnection %s could not delete its copies", work.id)
    return Ended(
        FAILED,
        f"{trouble} What we copied could not be deleted here yet. Our operators have been told, and we try again every "
        "night.",
    )


def prove_nothing_remains(work: Work) -> Ended:
    """Prove that nothing remains.

    We look in every table that could name this connection, and check that its key is gone.
    """
    connection_id = work.row().connection_id
    left = remains(connection_id)
    db.session.rollback()
    try:
        found_now = destroy_key(work.id, connection_id)  # the database was away before, or another one answered
        if parts().vault.has_key(connection_id):
            left.append("the key")
        destroyed, clean = rewrite_files(work.id, connection_id)
    except KeysAway as away:
        raise NotYet(away.sentence, PROOFS) from None
    if clean and destroyed and "the key" not in left:
        work.row().keys_rewritten_at = clock.now()
        db.session.commit()
    if left:
        logger.critical("disconnection %s left something in: %s", work.id, ", ".join(left))
        return Ended(FAILED, f"Something was still there: {', '.join(left)}. Our operators have been told.")
    if not clean:
        raise NotYet("The database of our keys is in use all the time, so that it cannot be rewritten.", PROOFS)
    tables = len(traces.tables())
    looked = f"We looked in the {tables} tables that could name this connection, and found nothing"
    if not destroyed:
        why = ANOTHER if was_found(work.id) else NO_KEY.replace("to them", "to your tokens")
        return Ended(FAILED, f"{looked}. {why}", tables)
    key = "the key was there after all, and was destroyed" if found_now else "the key is gone"
    return Ended(DONE, f"{looked}; {key}. The key database was rewritten.", tables)


def not_proven(work: Work, trouble: str) -> Ended:
    """What we hold elsewhere was looked through; the key database could not be."""
    left = remains(work.row().connection_id)
    db.session.rollback()
    elsewhere = f"something is still in: {', '.join(left)}" if left else "nothing is left"
    return Ended(
        FAILED,
        f"{trouble} In the tables that could name this connection {elsewhere}, but we could not prove that nothing of "
        "the key is left in its files. We try again every night, and this page says when it is done.",
    )


def remains(connection_id: str) -> list[str]:
    """The tables in which something of a connection is still to be found, in the transaction at hand."""
    return traces.found(connection_id)


def _attempts(connection_id: str) -> Select[str]:
    return select(Connection.id).where(Connection.replaces_id == connection_id, Connection.state == CONNECTING)

"""The daily watch over raw files: what `flask residue` finds is mended where we can, recorded, counted, not quoted."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

from portal import durable
from portal.db import db
from portal.parts import parts
from portal.residue.apart import CouldNotLook, look_apart
from portal.workflows import counters
from portal.workflows.activity import record

logger = logging.getLogger("portal.watch")

SECONDS = 1800.0  # a look that takes longer is given up, and told as one that was not taken
RECORDED = 50  # kinds of find per night; the rest is in the counter
BOUNDED = "write-ahead log not yet recycled"


@durable.every("watch_files", "37 3 * * *")
def watch_files() -> dict[str, int]:
    """Look through the raw files once; returns how much was found, mended and could not be read.

    What is bounded (destroyed keys in PostgreSQL's write-ahead log, gone when that is recycled) is recorded, and counts
    as no find.
    """
    before = _look()
    if before is None:
        return {"found": 0, "mended": 0, "unread": 1}
    after = before
    if _wrong(before):
        # Bytes of destroyed keys that a rewriting has left go with the next one. All else is for people to mend.
        parts().vault.scour()
        after = _look() or before
    found, stays = _wrong(before), _wrong(after)
    _note(found, stays, _bounded(after), after)
    told = {"found": sum(found.values()), "mended": sum((found - stays).values()), "unread": len(after["unread"])}
    counters.add("residue_found", told["found"])
    counters.add("residue_unread", int(told["unread"] > 0))
    if stays:
        logger.critical("raw files hold %d things that should not be there: see flask residue", sum(stays.values()))
    return told


Finds = Counter[tuple[str, str, str]]
"""File, kind and owner of what was found. Neither offset nor fingerprint: nobody needs them to look for themselves."""


def _look() -> dict[str, Any] | None:
    db.session.rollback()  # no transaction of ours stays open meanwhile
    try:
        return look_apart(seconds=SECONDS)
    except CouldNotLook as error:
        record("watch:unread", member_id=None, connection_id=None, detail=f"the look was not taken: {error}"[:300])
        db.session.commit()
        counters.add("residue_unread")
        logger.error("the nightly look through raw files was not taken (%s)", error)
        return None


def _wrong(report: dict[str, Any]) -> Finds:
    return _finds(report, bounded=False) + Counter({("(not kept)", "more", ""): report["more"]})


def _bounded(report: dict[str, Any]) -> Finds:
    return _finds(report, bounded=True)


def _finds(report: dict[str, Any], *, bounded: bool) -> Finds:
    found = [each for each in report["findings"] if each["bounded"] is bounded]
    return Counter((each["file"], each["kind"], each["owner"]) for each in found)


def _note(found: Finds, stays: Finds, bounded: Finds, report: dict[str, Any]) -> None:
    """Write it down, in one transaction: what, where and how often; whose, where that is known."""
    notes = [(each, number, "mended") for each, number in (found - stays).items()]
    notes += [(each, number, "still there") for each, number in stays.items()]
    notes += [(each, number, BOUNDED) for each, number in bounded.items()]
    for (file, kind, owner), number, what in notes[:RECORDED]:
        detail = f"{number} times {kind}, in {file[-120:]}: {what}"
        record("watch:residue", member_id=None, connection_id=owner or None, detail=_storable(detail))
    unread = report["unread"]
    if unread:
        first = f"the first: {unread[0]['file'][-120:]}: {unread[0]['why']}"
        detail = f"{len(unread)} places could not be read, {first}"
        record("watch:unread", member_id=None, connection_id=None, detail=_storable(detail))
        logger.warning("the nightly look: %s", detail)
    db.session.commit()


def _storable(detail: str) -> str:
    """Names of files need not be text; no database takes one that is none, and the whole night would go untold."""
    return detail.encode(errors="replace").decode()[:300]

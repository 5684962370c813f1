"""Intents: what we are about to make at the vendor is written down first, under the guard, so that nothing is lost.

A row without the vendor's id says: we asked, or were about to, and have no answer. An answer completes it, a definite
no deletes it. A kill, or an answer that never came, leaves it, and whoever comes next (a sync, or the disconnection)
looks at the vendor for what bears our mark.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from portal import clock
from portal.providers.base import AccessEnded, Busy, Gone, ProviderError, Rejected
from portal.workflows.epoch import Fenced

SETTLES = timedelta(seconds=60)
"""By then the vendor has done what we asked, or never will: each of our calls is given up long before."""

NOTHING_MADE = (Rejected, Busy, Gone, AccessEnded, Fenced)
"""What can only be raised when the vendor has made nothing."""


class StillOpen(ProviderError):
    """What we asked for is not there, but may appear at any moment: look again."""

    sentence = "We wait for an answer of Microsoft's that may still be on its way."


def is_open(asked_at: datetime) -> bool:
    """Whether the vendor may still be about to carry out what we asked for at that moment."""
    return clock.now() < asked_at + SETTLES

"""Ending sign-ins, wherever the order comes from: Graph, the desk, an administrator."""

from __future__ import annotations

from .records.identity import Person
from .storage import Storage


def sign_out_everywhere(storage: Storage, person: Person) -> None:
    """Refresh tokens and browser sessions older than this moment are worth nothing; consent stays."""
    with storage.lock:
        person.valid_from = storage.clock.now()

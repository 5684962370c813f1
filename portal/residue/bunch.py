"""The bunch of all data keys, those that exist and those that were found, and which of them opens a text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from portal.residue.sealed import DataKey, Text

_OWNER = re.compile(rb"[0-9a-f]{32}")
REMEMBERED = 100_000  # texts whose verdict is kept: the same one lies in many versions of a page


class Bunch:
    """Tries every key on every text, the likely ones first: at 100,000 keys that is what makes it bearable."""

    def __init__(self, keys: dict[bytes, str]) -> None:
        self._keys: dict[bytes, DataKey] = {}
        self._by_owner: dict[str, list[DataKey]] = {}
        self._last: list[DataKey] = []
        self._verdicts: dict[bytes, tuple[DataKey, str] | None] = {}
        for key, owner in keys.items():
            self.add(key, owner, exists=True)

    def add(self, key: bytes, owner: str, *, exists: bool) -> DataKey:
        """Put a key on the bunch; the one that is there already if it is."""
        if key not in self._keys:
            self._keys[key] = DataKey(owner, key, exists)
            self._by_owner.setdefault(owner, []).append(self._keys[key])
        return self._keys[key]

    def open(self, text: Text, near: bytes) -> tuple[DataKey, str] | None:
        """The key that opens a text, and its purpose. `near` are bytes around it, in which its owner may be named."""
        name = hashlib.sha256(text.text).digest()
        if name not in self._verdicts:
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[name] = opened = text.open(self._likely(near))
            self._last = [opened[0]] if opened else self._last
        return self._verdicts[name]

    def _likely(self, near: bytes) -> Iterator[DataKey]:
        yield from self._last
        for owner in {match.decode() for match in _OWNER.findall(near)}:
            yield from self._by_owner.get(owner, ())
        yield from self._keys.values()

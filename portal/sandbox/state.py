"""Keeping what the sandbox knows over a restart, in one JSON file, where SANDBOX_STATE names one.

The storage holds secrets as digests only, so the file opens nothing; signing keys are not kept.
"""

from __future__ import annotations

import json
import os
import threading
import types
from collections import deque
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

from .records import identity, mailbox
from .storage import Storage

# Attribute of the storage to the type of its values; everything else is of the moment.
KEPT: dict[str, Any] = {
    "tenants": dict[str, identity.Tenant],
    "people": dict[str, identity.Person],
    "clients": dict[str, identity.Client],
    "principals": dict[str, identity.ServicePrincipal],
    "grants": dict[str, identity.Grant],
    "refresh_tokens": dict[str, identity.RefreshToken],
    "access_tokens": dict[str, identity.AccessToken],
    "sessions": dict[str, identity.BrowserSession],
    "mailboxes": dict[str, mailbox.Mailbox],
    "subscriptions": dict[str, mailbox.Subscription],
    "requests": list[identity.ApprovalRequest],
}
PAUSE = 0.5  # seconds between two saves, at least


def dump(storage: Storage) -> dict[str, Any]:
    with storage.lock:
        told = {name: _plain(getattr(storage, name)) for name in KEPT}
        return {**told, "clock_offset": storage.clock.offset.total_seconds()}


def load(storage: Storage, told: dict[str, Any]) -> None:
    """Fill a storage from what `dump` said. Raises KeyError, TypeError or ValueError if another version said it."""
    read = {name: _shaped(told[name], kind) for name, kind in KEPT.items()}
    for name, value in read.items():
        setattr(storage, name, value)
    storage.clock.set(timedelta(seconds=float(told["clock_offset"])))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    return [_plain(each) for each in value] if isinstance(value, list | tuple | deque) else value


def _shaped(value: Any, kind: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return None if value is None else _shaped(value, next(each for each in inner if each is not type(None)))
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: _shaped(each, hints[name]) for name, each in value.items()})
    if kind is datetime:
        return datetime.fromisoformat(value)
    if origin is dict:
        return {key: _shaped(each, inner[1]) for key, each in value.items()}
    if origin is tuple:
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else inner
        return tuple(_shaped(each, of) for each, of in zip(value, kinds, strict=True))
    return origin(_shaped(each, inner[0]) for each in value) if origin in {list, set, frozenset} else value


class Keeper:
    """Saves the storage a moment after it was touched, and once more at the end."""

    def __init__(self, storage: Storage, path: str) -> None:
        self.storage, self.path = storage, Path(path)
        self._touched, self._stopped = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="sandbox-keeper", daemon=True)

    def restore(self) -> bool:
        """Whether there was something to go on with. A file that cannot be read counts as none, and is replaced."""
        try:
            load(self.storage, json.loads(self.path.read_text()))
        except (OSError, KeyError, TypeError, ValueError, StopIteration):
            return False
        return True

    def start(self) -> None:
        self._thread.start()

    def touch(self) -> None:
        self._touched.set()

    def stop(self) -> None:
        self._stopped.set()
        self._touched.set()
        if self._thread.is_alive():
            self._thread.join(5)
        self.save()

    def save(self) -> None:
        """Replace the file in one step, readable by its owner only."""
        text = json.dumps(dump(self.storage))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
        os.replace(fresh, self.path)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._touched.wait()
            self._touched.clear()
            if not self._stopped.wait(PAUSE):
                self.save()

"""Wrap and unwrap data keys with the portal's own keys.

A wrapped data key is 60 bytes: 12 of nonce, then AES-256-GCM over the 32 bytes of the key (and 16 of tag), bound to its
owner. Nonce rules: NIST SP 800-38D section 8.
"""

from __future__ import annotations

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WRAPPED_SIZE = 60  # bytes


class CannotOpen(Exception):
    """A sealed text or a data key cannot be opened: tampered with, meant for something else, or its key is gone."""


class PortalKeys:
    """The keys of `PORTAL_TOKEN_KEYS`: the first wraps, all of them unwrap."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._ciphers = {key_id(key): AESGCM(key) for key in keys}
        self.current = key_id(keys[0])

    def ids(self) -> tuple[str, ...]:
        """Their public names, the current one first."""
        return tuple(self._ciphers)

    def role(self, name: str) -> str:
        """What a key is to us: current, kept (it only unwraps), or not configured."""
        if name == self.current:
            return "current"
        return "kept" if name in self._ciphers else "not configured"

    def wrap(self, owner: str, key: bytes) -> bytes:
        """Wrap an owner's data key with the current key."""
        nonce = os.urandom(12)
        return nonce + self._ciphers[self.current].encrypt(nonce, key, bound(owner, "data-key"))

    def unwrap(self, owner: str, wrapped: bytes, wrapped_by: str) -> bytes:
        """A data key out of its wrapping. Raises CannotOpen."""
        cipher = self._ciphers.get(wrapped_by)
        if cipher is None:
            raise CannotOpen("the data key is wrapped by a portal key that is not configured")
        try:
            return cipher.decrypt(wrapped[:12], wrapped[12:], bound(owner, "data-key"))
        except (InvalidTag, ValueError):
            raise CannotOpen("the data key cannot be unwrapped") from None


def key_id(key: bytes) -> str:
    """A short public name of a key (first 16 hexadecimal digits of its SHA-256), so that rows can say which."""
    return hashlib.sha256(key).hexdigest()[:16]


def bound(owner: str, purpose: str) -> bytes:
    """What a sealed text is bound to: it opens for no other owner and purpose."""
    return f"coordinoter:{owner}:{purpose}".encode()

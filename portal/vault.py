"""Seal and open secrets: envelope encryption with one data key per connection.

A secret is sealed with AES-256-GCM under a data key that belongs to one connection; the data key is itself wrapped by
the portal's key (`PORTAL_TOKEN_KEYS`, several for rotation). Data keys live in a small database of their own
(`keyring/`), left out of back-ups: destroying one makes every copy of that connection's secrets unreadable, in old
back-ups and write-ahead logs of the main database too. AES-GCM and its nonce rules: NIST SP 800-38D.
"""

from __future__ import annotations

import base64
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.keyring import Keyring, KeysAway
from portal.keyring.rotate import Wraps
from portal.keyring.wrapping import CannotOpen, bound, key_id

__all__ = ["PREFIX", "PURPOSES", "CannotOpen", "KeysAway", "Vault", "Wraps", "key_id"]

PREFIX = "cns1."
"""Every sealed text starts with this, so that `flask residue` can find them in raw bytes."""

PURPOSES = ("access_token", "refresh_token", "delta-link", "client-state", "sign-in")
"""Everything that is ever sealed; `flask residue` names what it opens by these."""


class Vault(Keyring):
    """Seals and opens with the data keys of its keyring."""

    def seal(self, owner: str, purpose: str, secret: str) -> str:
        """Seal `secret` for one owner (a connection's id) and one purpose; the text may be stored anywhere.

        An owner without a key is given one: only for what begins, or is mended by, a sign-in.
        """
        return _sealed(self.get_or_make(owner), owner, purpose, secret)

    def seal_also(self, owner: str, purpose: str, secret: str) -> str:
        """The same for an owner who has a key. Raises CannotOpen when it is gone: it never comes back by being used.

        So work that stood still while its connection was severed makes no key for what is no more.
        """
        return _sealed(self.get(owner), owner, purpose, secret)

    def open(self, owner: str, purpose: str, sealed: str) -> str:
        """The secret again. Raises CannotOpen for text that cannot be opened, or whose key is gone."""
        try:
            raw = base64.urlsafe_b64decode(sealed.removeprefix(PREFIX))
            return AESGCM(self.get(owner)).decrypt(raw[:12], raw[12:], bound(owner, purpose)).decode()
        except (InvalidTag, ValueError, UnicodeDecodeError):
            raise CannotOpen(f"the sealed {purpose} cannot be opened") from None


def _sealed(key: bytes, owner: str, purpose: str, secret: str) -> str:
    nonce = os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, secret.encode(), bound(owner, purpose))
    return PREFIX + base64.urlsafe_b64encode(nonce + sealed).decode()

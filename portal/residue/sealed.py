"""Sealed texts and wrapped keys in raw bytes, and whether anything that exists opens them.

A sealed text that was cut off has lost its tag, and AES-GCM would refuse it; but its beginning can be read all the
same, since GCM encrypts in counter mode (NIST SP 800-38D section 6.5). So a text counts as opened when a key turns its
beginning into printable characters; the tag, where it is there, then tells the purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.keyring.wrapping import bound
from portal.residue.layers import decoded
from portal.vault import PREFIX, PURPOSES

_PREFIX = re.compile(re.escape(PREFIX.encode()))
_RUN = re.compile(rb"[A-Za-z0-9_-]*")
JUDGED = 24  # bytes at the beginning that must be printable: by chance one in 10^10 is
SHORT = 64  # bytes up to which the tag is tried as well: a short secret has no such beginning


@dataclass
class DataKey:
    """One data key: whose, whether the key database has it (else it was destroyed), and the files it was found in."""

    owner: str
    key: bytes
    exists: bool
    only_in_wal: bool = True

    def __post_init__(self) -> None:
        # ECB is only how one asks for single blocks of the counter's key stream here.
        self._ecb = Cipher(algorithms.AES(self.key), modes.ECB()).encryptor()  # noqa: S305
        self._gcm = AESGCM(self.key)

    def begins(self, nonce: bytes, body: bytes) -> bool:
        """Whether this key turns the beginning of a sealed text into something readable."""
        stream = self._ecb.update(nonce + b"\0\0\0\2" + nonce + b"\0\0\0\3")
        plain = bytes(a ^ b for a, b in zip(body[:JUDGED], stream, strict=False))
        return len(plain) == JUDGED and plain.isascii() and plain.decode().isprintable()

    def purpose(self, nonce: bytes, body: bytes, *, more: int = 48) -> str | None:
        """What a text was sealed for, if it is whole. Up to `more` bytes behind it may look like its own."""
        for extra in range(min(len(body) - 16, more) + 1):
            for purpose in PURPOSES:
                try:
                    self._gcm.decrypt(nonce, body[: len(body) - extra], bound(self.owner, purpose))
                except InvalidTag:
                    continue
                return purpose
        return None


@dataclass(frozen=True)
class Text:
    """A sealed text, or what is left of one."""

    start: int
    end: int
    text: bytes

    def open(self, keys: Iterable[DataKey]) -> tuple[DataKey, str] | None:
        """The key that opens it, and its purpose ("cut off" when the tag is not there)."""
        raw = decoded(self.text[len(PREFIX) :])
        nonce, body = raw[:12], raw[12:]
        for key in keys:
            if key.begins(nonce, body):
                return key, key.purpose(nonce, body) or "cut off"
            if 16 <= len(body) < SHORT and (purpose := key.purpose(nonce, body, more=0)):
                return key, purpose
        return None


def texts(data: bytes) -> Iterator[Text]:
    """Everything that begins like a sealed text. Two of them may stand side by side with nothing between."""
    for match in _PREFIX.finditer(data):
        run = _RUN.match(data, match.end())
        end = run.end() if run else match.end()
        if data[end - 4 : end + 1] == PREFIX.encode():
            end -= 4
        yield Text(match.start(), end, data[match.start() : end])

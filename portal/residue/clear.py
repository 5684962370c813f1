"""What a secret looks like in the clear: tokens of Microsoft's kinds, secrets behind their usual names, our own.

JWT: RFC 7519. Refresh tokens and codes are opaque, but Microsoft's begin with `0.A`, `1.A` (organisations) or
`M.C...` (personal accounts), whose access tokens begin with `Ew`. Change-tracking links carry `$deltatoken` or
`$skiptoken` (https://learn.microsoft.com/graph/delta-query-overview). Nothing here needs a left boundary where that
would cost a find: SQLite stores columns without anything between them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from portal.residue.layers import decoded

_NAMES = b"refresh_token access_token id_token code_verifier client_secret client_assertion clientState".split()
_NAMED = re.compile(
    rb"(" + rb"|".join(_NAMES) + rb")[\x00-\xff]{0,12}?([A-Za-z0-9._~+/!*$%=-]{20,})",
)
# Each begins with a plain string, which is what makes a search fast; what must stand before it is looked at afterwards.
_SIMPLE = (
    ("refresh token or code", re.compile(rb"M\.[CR][0-9]{3}_[A-Z0-9]{2,8}\.[A-Za-z0-9!*$._%-]{24,}")),
    ("access token", re.compile(rb"Ew[A-D](?<![A-Za-z0-9+/_-]Ew[A-D])[A-Za-z0-9+/\\]{60,}")),
    ("access token", re.compile(rb"Ew[A-D][A-Za-z0-9+/]{800,}")),
    ("bearer token", re.compile(rb"earer[ \t]+([A-Za-z0-9._~+/=-]{20,})")),
    ("authorization code", re.compile(rb"code=(?<![A-Za-z0-9_]code=)([A-Za-z0-9._!*$%-]{20,})")),
    *(
        ("change-tracking link", re.compile(re.escape(name) + rb"=([A-Za-z0-9._~%+/=-]{12,})"))
        for name in (b"$deltatoken", b"$skiptoken", b"%24deltatoken", b"%24skiptoken")
    ),
)
_NUMBERED = re.compile(rb"\.A(?<=[01]\.A)(?<!cns1\.A)[A-Za-z0-9_-]{24,}[A-Za-z0-9_.-]*")
_JWT = re.compile(rb"(eyJ[A-Za-z0-9_-]{8,})\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?")
_IN_A_JWT = (b'"alg"', b'"iss"', b'"aud"')


@dataclass(frozen=True)
class Clear:
    """A find: what kind, from where to where in the data, and the secret itself (never printed)."""

    kind: str
    start: int
    end: int
    secret: bytes


class Clears:
    """Looks for secrets in the clear. `literals` are secrets we know: (kind, the bytes themselves)."""

    def __init__(self, literals: tuple[tuple[str, bytes], ...] = ()) -> None:
        self._kinds = {spelled: kind for kind, literal in literals for spelled in _spellings(literal)}
        longest_first = sorted(self._kinds, key=len, reverse=True)
        self._literals = re.compile(b"|".join(re.escape(each) for each in longest_first)) if longest_first else None

    def find(self, data: bytes) -> Iterator[Clear]:
        """Every secret in the clear."""
        if self._literals:
            for match in self._literals.finditer(data):
                yield Clear(self._kinds[match[0]], *match.span(), match[0])
        for match in _JWT.finditer(data):
            if any(mark in decoded(match[1]) for mark in _IN_A_JWT):
                yield Clear("JWT", *match.span(), match[0])
        for match in _NUMBERED.finditer(data):
            if _is_random(match[0]):
                yield Clear(
                    "refresh token or code", match.start() - 1, match.end(), data[match.start() - 1 : match.end()]
                )
        for kind, pattern in _SIMPLE:
            for match in pattern.finditer(data):
                secret = match[match.re.groups]
                if _is_random(secret):
                    yield Clear(kind, *match.span(match.re.groups), secret)
        if any(name in data for name in _NAMES):
            for match in _NAMED.finditer(data):
                if _is_random(match[2]) and not match[2].startswith(b"cns1."):
                    yield Clear(match[1].decode(), *match.span(2), match[2])


def _spellings(secret: bytes) -> set[bytes]:
    """As it is, and as it stands in a form (some write a tilde as it is, some do not)."""
    quoted = quote(secret, safe="").encode()
    return {secret, quoted, quoted.replace(b"~", b"%7E")} - {b""}


def _is_random(secret: bytes) -> bool:
    """Tokens have digits and letters of which many differ; words, paths and placeholders do not."""
    letters = sum(chr(each).isalpha() for each in secret[:64])
    digits = sum(chr(each).isdigit() for each in secret[:64])
    return letters >= 3 and digits >= 1 and len(set(secret)) >= 10 and not secret.startswith(b"/")

"""No cassette holds a token, a code, a verifier or a secret, in whatever wrapping; and the search would find one."""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

import pytest

from tests.providers.cassettes import DIRECTORY
from tests.providers.genuine import CLIENT_SECRET
from tests.providers.redact import LINK_TOKEN, SECRET_ANSWERS, SECRET_FIELDS

CASSETTES = sorted(DIRECTORY.glob("*.json"))
TOKEN_LIKE = re.compile(r"eyJ[\w-]{8,}|[A-Za-z0-9_~.-]{40,}")
NAMES = SECRET_FIELDS - {"code"} | SECRET_ANSWERS
PLACEHOLDER = re.compile(r"redacted-[a-z-]+-\d+")


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, with what is packed inside it: JSON, percent escapes, base64, gzip."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from texts(inner)
            if key in NAMES and isinstance(inner, str):
                yield f"{key}={inner}"
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value
        if unquote(value) != value:
            yield unquote(value)
        yield from unpacked(value)


def unpacked(value: str) -> Iterator[str]:
    if value[:1] in {"{", "["}:
        with contextlib.suppress(ValueError):  # not JSON
            yield from texts(json.loads(value))
    if len(value) > 3:
        with contextlib.suppress(binascii.Error, ValueError, OSError):  # not base64, or not a text
            raw = base64.b64decode(value, validate=True)
            raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
            yield from texts(raw.decode())


def leaks(value: Any) -> set[str]:
    """What looks like a secret."""
    found: set[str] = set()
    for text in texts(value):
        found |= set(TOKEN_LIKE.findall(text))
        found |= {token for _, token in LINK_TOKEN.findall(text) if not PLACEHOLDER.fullmatch(token)}
        fields = [(k, v) for k, v in parse_qsl(text) if k in SECRET_FIELDS | SECRET_ANSWERS]
        found |= {secret for _, secret in fields if not PLACEHOLDER.fullmatch(secret)}
        found |= {t for t in re.findall(r"(?:Bearer|Basic) ([^\s\"]+)", text) if not PLACEHOLDER.fullmatch(t)}
        found |= {secret for secret in (CLIENT_SECRET, "sandbox-secret") if secret in text}
    return found


def test_it_works() -> None:
    assert len(CASSETTES) >= 8


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)
def test_no_token_is_on_a_cassette(path: Path) -> None:
    assert leaks(json.loads(path.read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize("path", CASSETTES, ids=lambda path: path.stem)
def test_a_cassette_says_who_was_recorded(path: Path) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert "real provider code" in found["recorded_with"] and found["note"]


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"


@pytest.mark.parametrize(
    "secret",
    [
        JWT,
        {"string": json.dumps({"access_token": "short"})},
        {"string": json.dumps({"refresh_token": "0.AXoA"})},
        {"string": "grant_type=authorization_code&code=short"},
        {"string": "code_verifier=short&x=1"},
        {"string": f"client_secret={quote(CLIENT_SECRET)}"},
        "Bearer short",
        "Basic YTpi",
        "https://graph.example/v1.0/me/delta?$deltatoken=short",
        "https://graph.example/v1.0/me/delta?%24skiptoken=short",
        "M.C5_" + "x" * 40,
        {"base64_string": base64.b64encode(JWT.encode()).decode()},
        {"base64_string": base64.b64encode(gzip.compress(json.dumps({"access_token": "short"}).encode())).decode()},
    ],
)
def test_the_search_finds_a_secret_in_every_wrapping(secret: Any) -> None:
    assert leaks({"http_interactions": [{"response": {"body": secret}}]})

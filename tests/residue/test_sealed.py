"""Sealed texts and wrapped keys in raw bytes: cut off, side by side, torn out of their rows, in dumps."""

from __future__ import annotations

import base64
import os
import pickle
import random
import secrets
from pathlib import Path

import pytest

from portal.keyring.table import rows
from portal.keyring.wrapping import PortalKeys
from portal.residue import sealed, wrapped
from portal.residue.look import Known, Look, Stream, Where
from portal.residue.sealed import DataKey
from portal.vault import PURPOSES, Vault, key_id

PORTAL_KEY = b"1" * 32
OWNER, OTHER = "0a" * 16, "b7" * 16
TOKEN = "1.AXkA" + secrets.token_urlsafe(180)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault(f"sqlite:///{tmp_path}/keys.db", (PORTAL_KEY,))
    made.create_table()
    return made


def opened(vault: Vault, data: bytes) -> list[tuple[str, str]]:
    """Owner and purpose of every sealed text that can be opened."""
    keys = [DataKey(owner, key, exists=True) for owner, key in vault.opened()]
    found = [text.open(keys) for text in sealed.texts(data)]
    return [(each[0].owner, each[1]) for each in found if each]


# --- sealed texts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PURPOSES)
def test_it_works(vault: Vault, purpose: str) -> None:
    vault.get_or_make(OTHER)
    text = vault.seal(OWNER, purpose, TOKEN)
    assert opened(vault, b"\x00\x12" + text.encode() + b"\x00") == [(OWNER, purpose)]
    vault.destroy(OWNER)
    assert opened(vault, text.encode()) == []


@pytest.mark.parametrize("length", range(20))
def test_short_secrets_are_opened_too(vault: Vault, length: int) -> None:
    assert opened(vault, vault.seal(OWNER, "client-state", "x" * length).encode()) == [(OWNER, "client-state")]


def test_texts_side_by_side_are_told_apart(vault: Vault) -> None:
    """As in a row of SQLite's, where columns have nothing between them."""
    lengths = dict(zip(PURPOSES, (90, 60, 61, 62, 63), strict=True))
    texts = [vault.seal(OWNER, purpose, TOKEN[:length]) for purpose, length in lengths.items()]
    found = opened(vault, OWNER.encode() + "".join(texts).encode() + b"2026-01-01 10:00:00.000000")
    assert found == [(OWNER, purpose) for purpose in PURPOSES]
    as_found = [text.text.decode() for text in sealed.texts("".join(texts).encode())]
    assert as_found == [text.rstrip("=") for text in texts]


def test_what_is_left_of_a_text_is_opened(vault: Vault) -> None:
    """AES-GCM would refuse it for its missing tag, but whoever holds the key can read it."""
    text = vault.seal(OWNER, "access_token", TOKEN).encode()
    for length in range(5 + 4 * (12 + sealed.JUDGED) // 3, len(text) - 22):
        assert opened(vault, text[:length] + b"\0") == [(OWNER, "cut off")], length


def test_no_random_text_counts_as_opened(vault: Vault) -> None:
    for number in range(30):
        vault.get_or_make(f"{number:032d}")
    noise = b"\0".join(b"cns1." + secrets.token_urlsafe(90).encode() for _ in range(2000))
    assert len(list(sealed.texts(noise))) == 2000
    assert opened(vault, noise) == []


def test_every_purpose_that_the_code_seals_for_is_known() -> None:
    from portal.workflows import copies, sign_in_attempts, subscribe, tokens

    assert set(PURPOSES) == {
        tokens.ACCESS,
        tokens.REFRESH,
        copies.LINK,
        subscribe.CLIENT_STATE,
        sign_in_attempts.PURPOSE,
    }


# --- wrapped keys ---------------------------------------------------------------------------------------------------

KEYS = PortalKeys((PORTAL_KEY,))
BY = key_id(PORTAL_KEY).encode()


def wrap(owner: str = OWNER) -> tuple[bytes, bytes]:
    key = os.urandom(32)
    return key, KEYS.wrap(owner, key)


LAYOUTS = {
    "sqlite": lambda owner, blob: b"\x06M\x81\x04-A" + owner + blob + BY + b"2026-01-01",
    "sqlite, after a column of hexadecimal digits": lambda owner, blob: b"ab12" * 8 + owner + blob + BY,
    "sqlite, the owner written over": lambda owner, blob: b"\0" * 20 + blob + BY + b"2026-01-01",
    "sqlite, the portal key's id written over": lambda owner, blob: owner + blob + b"\0" * 20,
    "postgresql": lambda owner, blob: b"\x00\x18\x00C" + owner + b"{" + blob + b"#" + BY + b"\x00\x00",
    "postgresql, an update's record": lambda owner, blob: b"\x01\x02{" + blob + b"#" + BY,
    "pg_dump": lambda owner, blob: owner + b"\t\\\\x" + blob.hex().encode() + b"\t" + BY + b"\n",
    "sqlite's .dump": lambda owner, blob: b"VALUES('" + owner + b"',X'" + blob.hex().encode() + b"','" + BY + b"');",
    "a row as text": lambda owner, blob: b"(" + owner + b',"\\\\x' + blob.hex().encode() + b'",' + BY + b")",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_wrapped_key_is_found_in_every_layout(layout: str) -> None:
    for _ in range(200):  # the first bytes of a wrapped key may be digits that look like more of the owner's id
        key, blob = wrap()
        data = os.urandom(40) + LAYOUTS[layout](OWNER.encode(), blob) + os.urandom(40)
        found = list(wrapped.find(data, KEYS, frozenset({OTHER, OWNER})))
        assert [(each.owner, each.key) for each in found] == [(OWNER, key)]


def test_a_key_wrapped_by_a_stranger_or_for_another_owner_is_none() -> None:
    blob = PortalKeys((b"2" * 32,)).wrap(OWNER, os.urandom(32))
    assert not list(wrapped.find(OWNER.encode() + blob + BY, KEYS, frozenset({OWNER, OTHER})))
    _, blob = wrap("c" * 32)
    assert not list(wrapped.find(b"\0" * 32 + blob + BY, KEYS, frozenset({OWNER, OTHER})))


def test_wrapped_keys_are_found_in_a_real_file_of_each_kind(vault: Vault, tmp_path: Path) -> None:
    owners = [f"{random.Random(n).getrandbits(128):032x}" for n in range(300)]
    keys = {owner: vault.get_or_make(owner) for owner in owners}
    assert len(list(rows(vault.engine))) == 300
    for file in tmp_path.glob("keys.db*"):
        if file.name == "keys.db-wal":
            found = {each.owner: each.key for each in wrapped.find(file.read_bytes(), KEYS, frozenset())}
            assert found == keys


# --- judging --------------------------------------------------------------------------------------------------------


def judge(vault: Vault, living: set[str], **streams: tuple[Where, bytes]) -> Look:
    known = Known(vault.portal_keys, {key: owner for owner, key in vault.opened()}, frozenset(living), frozenset())
    look = Look(known)
    every = [
        Stream(name, where, lambda name=name, data=data: [(name, 0, data)]) for name, (where, data) in streams.items()
    ]
    for round_ in (look.for_keys, look.for_secrets):
        for stream in every:
            round_(stream)
    return look


def test_the_likely_keys_are_tried_first(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a portal with many connections would wait for ever."""
    owners = [f"{random.Random(n).getrandbits(128):032x}" for n in range(200)]
    sealed_for = [(owner, vault.seal(owner, purpose, TOKEN)) for owner in owners for purpose in PURPOSES]
    lines = [f"{owner}\2{text}".encode() for owner, text in sealed_for]
    tried, begins = [], DataKey.begins
    monkeypatch.setattr(DataKey, "begins", lambda *args: tried.append(1) or begins(*args))
    report = judge(vault, set(owners), file=(Where.ELSEWHERE, b"\0".join(lines))).report
    assert report.exit_code() == 0
    assert sum(report.fine.values()) == len(lines)
    assert len(tried) < 3 * len(lines)


def test_a_text_of_a_living_connection_is_fine_and_one_of_no_connection_is_not(vault: Vault) -> None:
    text = vault.seal(OWNER, "access_token", TOKEN).encode()
    fine = judge(vault, {OWNER}, file=(Where.ELSEWHERE, text))
    assert (fine.report.exit_code(), fine.report.fine) == (0, {("file", "access_token"): 1})
    orphan = judge(vault, set(), file=(Where.ELSEWHERE, text))
    assert orphan.report.exit_code() == 1
    (finding,) = orphan.report.findings
    assert (finding.kind, finding.owner) == (
        "sealed text (access_token), opened by a key of no living connection",
        OWNER,
    )


def test_a_sealed_text_in_base64_is_opened_too(vault: Vault) -> None:
    """As an argument of a durable run would be kept: pickled and encoded."""
    text = vault.seal(OWNER, "access_token", TOKEN)
    stored = base64.b64encode(pickle.dumps({"args": (text,)}))
    (finding,) = judge(vault, set(), file=(Where.ELSEWHERE, b"SUCCESS" + stored + b"\0")).report.findings
    assert finding.owner == OWNER


def test_a_destroyed_key_and_what_it_opens_are_found_and_only_a_log_makes_it_bounded(vault: Vault) -> None:
    text = vault.seal(OWNER, "access_token", TOKEN).encode()
    (row,) = rows(vault.engine)
    remnant = row.owner.encode() + row.wrapped + row.wrapped_by.encode()
    vault.destroy(OWNER)
    clean = judge(vault, {OWNER}, file=(Where.ELSEWHERE, text))
    assert (clean.report.exit_code(), clean.report.shut) == (0, 1)
    bad = judge(vault, {OWNER}, file=(Where.ELSEWHERE, text), keys=(Where.KEYS, remnant))
    assert bad.report.exit_code() == 1, "a connection that is living again does not make an old key a living one"
    assert {(each.file, each.kind) for each in bad.report.findings} == {
        ("file", "sealed text (access_token), opened by a destroyed key"),
        ("keys", "destroyed data key"),
    }
    bounded = judge(vault, {OWNER}, file=(Where.ELSEWHERE, text), log=(Where.WAL, remnant))
    assert (bounded.report.exit_code(), len(bounded.report.findings)) == (3, 2)
    both = judge(vault, {OWNER}, file=(Where.ELSEWHERE, text), log=(Where.WAL, remnant), keys=(Where.KEYS, remnant))
    assert both.report.exit_code() == 1
    told = {(each.file, each.bounded) for each in both.report.findings}
    assert told == {("file", False), ("log", True), ("keys", False)}


def test_a_living_key_is_at_home_in_the_key_database_only(vault: Vault) -> None:
    vault.get_or_make(OWNER)
    (row,) = rows(vault.engine)
    copy = row.owner.encode() + row.wrapped + row.wrapped_by.encode()
    assert judge(vault, {OWNER}, keys=(Where.KEYS, copy), log=(Where.WAL, copy)).report.exit_code() == 0
    backup = judge(vault, {OWNER}, backup=(Where.ELSEWHERE, copy))
    assert {each.kind for each in backup.report.findings} == {"data key outside of the key database"}


def test_a_flood_is_counted_and_does_not_fill_the_memory(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.residue.report.KEPT", 10)
    flood = b"\0".join(b"1.AXkA" + secrets.token_urlsafe(40).encode() for _ in range(25))
    report = judge(vault, set(), file=(Where.ELSEWHERE, flood)).report
    assert (len(report.findings), report.more, report.exit_code()) == (10, 15, 1)

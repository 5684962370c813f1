"""The vault: what is sealed opens only with the right key, for the right owner and purpose, and untouched."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from portal.vault import PREFIX, CannotOpen, Vault

OWNER, OTHER = "a" * 32, "b" * 32


@pytest.fixture
def keys_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/keys.db"


@pytest.fixture
def vault(keys_url: str) -> Vault:
    made = Vault(keys_url, (b"1" * 32,))
    made.create_table()
    return made


def test_it_works(vault: Vault) -> None:
    sealed = vault.seal(OWNER, "access_token", "the secret")
    assert sealed.startswith(PREFIX)
    assert "secret" not in sealed
    assert vault.open(OWNER, "access_token", sealed) == "the secret"


def test_two_seals_of_the_same_secret_differ(vault: Vault) -> None:
    assert vault.seal(OWNER, "p", "same") != vault.seal(OWNER, "p", "same")


@pytest.mark.parametrize(("owner", "purpose"), [(OTHER, "access_token"), (OWNER, "refresh_token")])
def test_it_opens_for_its_owner_and_purpose_only(vault: Vault, owner: str, purpose: str) -> None:
    vault.seal(OTHER, "x", "so that the other has a key")
    sealed = vault.seal(OWNER, "access_token", "the secret")
    with pytest.raises(CannotOpen):
        vault.open(owner, purpose, sealed)


def test_every_flipped_bit_is_noticed(vault: Vault) -> None:
    sealed = vault.seal(OWNER, "p", "secret")
    raw = base64.urlsafe_b64decode(sealed.removeprefix(PREFIX))
    for at in range(len(raw)):
        bent = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(CannotOpen):
            vault.open(OWNER, "p", PREFIX + base64.urlsafe_b64encode(bent).decode())


@pytest.mark.parametrize("nonsense", ["", PREFIX, "plain text", PREFIX + "!!!", PREFIX + "AAAA", "ü"])
def test_what_was_never_sealed_is_refused_calmly(vault: Vault, nonsense: str) -> None:
    vault.seal(OWNER, "p", "x")
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", nonsense)


def test_a_wrong_portal_key_opens_nothing(vault: Vault, keys_url: str) -> None:
    sealed = vault.seal(OWNER, "p", "secret")
    with pytest.raises(CannotOpen):
        Vault(keys_url, (b"2" * 32,)).open(OWNER, "p", sealed)


def test_a_destroyed_key_is_gone_for_good(vault: Vault) -> None:
    sealed = vault.seal(OWNER, "p", "secret")
    assert vault.destroy(OWNER) is True
    assert vault.has_key(OWNER) is False
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", sealed)
    vault.seal(OWNER, "p", "a new key must not open the old text")
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", sealed)


def test_rotation_wraps_again_and_keeps_opening(vault: Vault, keys_url: str) -> None:
    sealed = vault.seal(OWNER, "p", "secret")
    both = Vault(keys_url, (b"2" * 32, b"1" * 32))
    assert both.open(OWNER, "p", sealed) == "secret"
    assert both.rotate() == 1
    assert both.rotate() == 0
    assert Vault(keys_url, (b"2" * 32,)).open(OWNER, "p", sealed) == "secret"
    with pytest.raises(CannotOpen):
        vault.open(OWNER, "p", sealed)


def test_no_byte_of_a_destroyed_key_stays_in_the_files(vault: Vault, tmp_path: Path) -> None:
    vault.seal(OTHER, "p", "someone who stays")
    vault.seal(OWNER, "p", "secret")
    with vault.engine.begin() as connection:
        wrapped = connection.exec_driver_sql("select wrapped from data_keys where owner = ?", (OWNER,)).scalar_one()
    assert any(wrapped in file.read_bytes() for file in tmp_path.glob("keys.db*")), "the test must be able to see it"
    vault.destroy(OWNER)
    assert vault.scour() is True
    for file in tmp_path.glob("keys.db*"):
        assert wrapped not in file.read_bytes(), file.name

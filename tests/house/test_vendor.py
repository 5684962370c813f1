"""Other people's code is what its README says it is, byte for byte."""

from __future__ import annotations

import hashlib
import re

from portal.config import ROOT

VENDOR = ROOT / "static" / "vendor"
ROW = re.compile(r"^\| `([0-9a-f]{64})` \| `([^`]+)` \|$", re.MULTILINE)


def table() -> dict[str, str]:
    """File and hash, as the README says."""
    return {name: digest for digest, name in ROW.findall((VENDOR / "README.md").read_text("utf-8"))}


def test_every_file_has_the_hash_its_readme_says() -> None:
    assert table()
    for name, digest in table().items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name


def test_no_file_is_missing_from_the_table() -> None:
    files = {str(path.relative_to(VENDOR)) for path in VENDOR.rglob("*") if path.is_file()} - {"README.md"}
    assert files == set(table())


def test_every_package_names_its_licence() -> None:
    for folder in VENDOR.iterdir():
        assert folder.is_file() or (folder / "LICENSE").exists(), folder.name


def test_htmx_is_loaded_from_here_and_nothing_from_elsewhere() -> None:
    base = (ROOT / "templates" / "base.html").read_text("utf-8")
    assert "vendor/htmx@4.0.1/htmx.min.js" in base
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', base)

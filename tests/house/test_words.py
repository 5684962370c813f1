"""The words of the house: places are named by what is done there, and every module says what it is for."""

from __future__ import annotations

import ast
import re

from portal.config import ROOT

VAGUE = {"utils", "util", "helpers", "helper", "services", "service", "misc", "common", "manager", "managers"}
OURS = sorted((*(ROOT / "portal").rglob("*.py"), *(ROOT / "tests").rglob("*.py")))


def test_no_place_has_a_vague_name() -> None:
    for path in OURS:
        assert not VAGUE & set(path.relative_to(ROOT).with_suffix("").parts), path


def test_every_module_says_what_it_is_for() -> None:
    for path in OURS:
        if "versions" in path.parts or not path.read_text("utf-8").strip():
            continue
        assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), path


def test_every_route_workflow_and_page_shares_its_word() -> None:
    """A route with pages of its own has a folder of its own; some routes answer only with another's card."""
    texts = {path.stem: path.read_text("utf-8") for path in (ROOT / "portal" / "routes").glob("*.py")}
    folders = {path.name for path in (ROOT / "templates").iterdir() if path.is_dir()} - {"macros", "errors"}
    assert folders <= set(texts)
    for name, text in texts.items():
        assert set(re.findall(r'"([a-z_]+)/_?[a-z]+\.html"', text)) <= {name}, name


def test_pages_speak_plain_words() -> None:
    for path in (ROOT / "templates").rglob("*.*"):
        text = path.read_text("utf-8")
        assert not re.search(r"\b(webhook|revoke sessions|user id|lorem|TODO|FIXME)\b", text, re.IGNORECASE), path

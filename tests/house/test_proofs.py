"""docs/proofs.md names every planted bug, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "proofs.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
PLANTED_IN = (
    "tests/bugs.py",
    "tests/race/test_planted.py",
    "tests/stateful/test_planted_in_life.py",
    "tests/weather/test_red.py",
)


def functions(path: str) -> list[ast.FunctionDef]:
    """Those at the top of a file."""
    return [each for each in ast.parse((ROOT / path).read_text()).body if isinstance(each, ast.FunctionDef)]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_the_page_names_is_there(path: str, name: str) -> None:
    assert name in {each.name for each in functions(path)}


@pytest.mark.parametrize("path", PLANTED_IN)
def test_every_planted_bug_is_on_the_page(path: str) -> None:
    planted = {
        each.name
        for each in functions(path)
        if [argument.arg for argument in each.args.args] == ["patch"] and not each.name.startswith("_")
    }
    assert planted
    assert planted <= {name for where, name in NAMED if where == path}

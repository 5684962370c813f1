"""`docs/microsoft-errors.md` says what the code does, row by row, and names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from portal.config import ROOT
from portal.providers.base import AccessEnded, ProviderError
from portal.providers.outlook.graph_errors import graph_error
from portal.providers.outlook.oauth_errors import token_error
from tests.providers.scenes import GRAPH_ERRORS, TOKEN_ERRORS

TEXT = (ROOT / "docs" / "microsoft-errors.md").read_text("utf-8")
HERE = Path(__file__).parent


def rows(heading: str) -> list[list[str]]:
    """The cells of the table under a heading, without its head."""
    part = TEXT.split(f"\n## {heading}", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


TOKEN_ROWS, GRAPH_ROWS = rows("The token endpoint"), rows("Microsoft Graph")


def outcome(error: ProviderError) -> str:
    return f"`{error.reason.value if isinstance(error, AccessEnded) else type(error).__name__}`"


def test_it_works() -> None:
    assert {int(row[0]) for row in TOKEN_ROWS} == set(TOKEN_ERRORS), "each row, in the document and in the scenes"
    listed = {(int(row[0]), row[1].strip("`")) for row in GRAPH_ROWS if "challenge" not in row[1]}
    assert set(GRAPH_ERRORS) <= listed


@pytest.mark.parametrize("row", TOKEN_ROWS, ids=[row[0] for row in TOKEN_ROWS])
def test_each_token_error_comes_to_what_the_table_says(row: list[str]) -> None:
    number, (error, *suberror) = int(row[0]), re.findall(r"`(\w+)`", row[1])
    answer = {"error": error, "error_codes": [number], "suberror": suberror[0] if suberror else ""}
    assert outcome(token_error(answer, 400, retry_after=None, request_id="")) == row[3]
    assert row[3].strip("`") == TOKEN_ERRORS[number]


@pytest.mark.parametrize("row", GRAPH_ROWS, ids=[f"{row[0]} {row[1]}" for row in GRAPH_ROWS])
def test_each_graph_error_comes_to_what_the_table_says(row: list[str]) -> None:
    status, (code, *challenge) = int(row[0]), re.findall(r"`(\w+)`", row[1])
    header = f'Bearer error="{challenge[0]}"' if challenge else ""
    body = {"error": {"code": code, "message": "x"}}
    found = graph_error(status, body, challenge=header, retry_after=None, request_id="", changes="spent" in row[2])
    assert outcome(found) == row[3]


def test_every_test_it_names_exists() -> None:
    places = {"test_token_errors.py": TOKEN_ROWS, "test_graph_errors.py": GRAPH_ROWS}
    for file, table in places.items():
        source = (HERE / file).read_text("utf-8")
        for row in table:
            assert f"def {row[4].strip('`')}(" in source, row
    everything = " ".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    for name in re.findall(r"`(?:[\w/.]+::)?(test_\w+)`", TEXT):
        assert f"def {name}(" in everything, name


@pytest.mark.parametrize("row", TOKEN_ROWS, ids=[row[0] for row in TOKEN_ROWS])
def test_each_number_is_met_in_the_test_it_names(row: list[str]) -> None:
    source = (HERE / "test_token_errors.py").read_text("utf-8")
    assert re.search(rf"\b{row[0]}\b", source.replace("_", ""))

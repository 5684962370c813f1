"""Canned answers for support: Markdown files whose first line is the title."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from portal.config import ROOT

FOLDER = ROOT / "templates" / "support" / "answers"


@dataclass(frozen=True)
class Canned:
    """One answer that fits often; `text` is what lands in the field, to be changed at will."""

    slug: str
    title: str
    text: str


@lru_cache(maxsize=1)
def all_answers() -> tuple[Canned, ...]:
    """Every canned answer, by title."""
    found = []
    for path in FOLDER.glob("*.md"):
        title, _, text = path.read_text("utf-8").partition("\n")
        found.append(Canned(path.stem, title.removeprefix("# "), text.strip()))
    return tuple(sorted(found, key=lambda each: each.title))


def find(slug: str) -> Canned | None:
    """The answer with this name."""
    return next((each for each in all_answers() if each.slug == slug), None)

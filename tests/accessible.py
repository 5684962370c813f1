"""What axe-core finds wrong with a page: WCAG 2.2 at level AA, and what it calls best practice."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# What was fine is not collected: that took as long as the looking.
# https://www.deque.com/axe/core-documentation/api-documentation/
OPTIONS = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "resultTypes": ["violations"],
}


def violations(page: Page) -> list[str]:
    """Each with the first element that shows it and what would help; empty for an accessible page."""
    found = Axe().run(page, options=OPTIONS)
    return [f"{each['id']}: {_where(each['nodes'][0])}" for each in found.response["violations"]]


def _where(node: dict[str, Any]) -> str:
    return f"{node['html'][:200]} ({' '.join(node['failureSummary'].split())[:300]})"

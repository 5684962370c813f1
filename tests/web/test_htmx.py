"""A part for htmx, a page for everybody else, at the same address."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.web.htmx import wants_fragment
from tests.world import HTMX


def test_it_works(app: Flask) -> None:
    with app.test_request_context("/", headers=HTMX):
        assert wants_fragment()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"HX-Request": "true"},
        {"HX-Request": "true", "HX-Request-Type": "full"},
        {**HTMX, "HX-Boosted": "true"},
        {**HTMX, "HX-History-Restore-Request": "true"},
        {"HX-Request-Type": "partial"},
    ],
)
def test_everything_else_gets_the_page(app: Flask, headers: dict[str, str]) -> None:
    with app.test_request_context("/", headers=headers):
        assert not wants_fragment()

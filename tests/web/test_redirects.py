"""`next` leads only to paths of our own."""

from __future__ import annotations

import pytest
from flask import Flask

from portal.web.redirects import own_path, page_path


@pytest.mark.parametrize("path", ["/", "/agenda", "/integrations/outlook-calendar", "/help?page=/agenda", "/a#b"])
def test_it_works(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        None,
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\x00/agenda",
        " /agenda",
        "/agenda\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "agenda",
        "/" + "a" * 600,
    ],
)
def test_everything_else_leads_home(path: str | None) -> None:
    assert own_path(path) == "/"


def test_the_page_is_the_one_the_browser_shows(app: Flask) -> None:
    current = {"HX-Current-URL": "http://127.0.0.1:8000/integrations?x=1"}
    with app.test_request_context("/help/panel", base_url="http://127.0.0.1:8000", headers=current):
        assert page_path() == "/integrations"


def test_a_foreign_current_page_counts_for_nothing(app: Flask) -> None:
    current = {"HX-Current-URL": "https://evil.example/integrations"}
    with app.test_request_context("/help/panel", base_url="http://127.0.0.1:8000", headers=current):
        assert page_path() == "/help/panel"

"""htmx asks for a part, everybody else for a page; both at the same address."""

from __future__ import annotations

from typing import Any

from flask import Flask, render_template, request

from portal.web.articles import explaining
from portal.web.redirects import page_path


def setup(app: Flask) -> None:
    """Let templates know which page the browser shows, and which article explains a thing."""
    app.add_template_global(page_path)
    app.add_template_global(explaining)


def wants_fragment() -> bool:
    """Whether htmx will put the answer into a part of the page it shows.

    Boosted navigation and Back also come from htmx, but swap the body: they need the whole page.
    """
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Request-Type") == "partial"
        and "HX-Boosted" not in headers
        and "HX-History-Restore-Request" not in headers
    )


def page_or_fragment(page: str, fragment: str, **context: Any) -> str:
    """Render whichever of the two templates was asked for."""
    return render_template(fragment if wants_fragment() else page, **context)

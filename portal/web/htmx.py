"""htmx asks for a part, everybody else for a page; both at the same address."""

from __future__ import annotations

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

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


def go(address: str) -> ResponseReturnValue:
    """Send the browser on, to an address of ours or elsewhere.

    htmx is told to go there by itself: browsers hold the policy `form-action` against every redirect that follows a
    form, and a business that signs in at servers of its own would be stopped half-way (CSP 3, section 6.4.1).
    """
    if request.headers.get("HX-Request") == "true":
        return "", 204, {"HX-Redirect": address}
    return redirect(address, 303)

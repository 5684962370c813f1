"""What every response says about itself."""

from __future__ import annotations

import re
from dataclasses import replace

from flask import Flask

from portal.app import configure
from tests.world import HTMX, Visitor


def directives(policy: str) -> dict[str, str]:
    return {part.split()[0]: part.partition(" ")[2].strip() for part in policy.split("; ")}


def test_it_works(alice: Visitor) -> None:
    headers = alice.client.get("/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert {"HX-Request", "HX-Request-Type"} <= {each.strip() for each in headers["Vary"].split(",")}


def test_the_content_policy_is_strict(app: Flask, anybody: Visitor) -> None:
    policy = directives(anybody.client.get("/sign-in").headers["Content-Security-Policy"])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == f"'self' {app.extensions['settings'].microsoft_authority}"
    assert "unsafe" not in str(policy)


def test_signed_in_pages_and_errors_are_kept_nowhere(alice: Visitor, anybody: Visitor) -> None:
    for path in ("/", "/agenda", "/integrations", "/help"):
        assert alice.client.get(path).headers["Cache-Control"] == "no-store", path
    assert alice.client.get("/integrations/outlook-calendar/card", headers=HTMX).headers["Cache-Control"] == "no-store"
    assert anybody.client.get("/nothing-here").headers["Cache-Control"] == "no-store"


def test_static_files_may_be_kept_for_ever_at_the_address_with_their_hash(anybody: Visitor) -> None:
    page = anybody.client.get("/sign-in").text
    addresses = re.findall(r'(?:src|href)="(/static/[^"]+)"', page)
    assert len(addresses) > 5
    for address in addresses:
        response = anybody.client.get(address)
        assert response.status_code == 200, address
        assert "immutable" in response.headers["Cache-Control"], address
        assert anybody.client.get(address.split("?")[0]).headers["Cache-Control"] == "no-cache"


def test_the_session_cookie_cannot_be_read_by_scripts(anybody: Visitor) -> None:
    cookie = anybody.client.get("/sign-in").headers["Set-Cookie"]
    assert cookie.startswith("coordinoter_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_over_https_no_neighbouring_host_can_set_the_session_cookie(app: Flask) -> None:
    """`__Host-`: only this host, only over TLS (RFC 6265bis section 4.1.3.2)."""
    bare = Flask(__name__)
    configure(bare, replace(app.extensions["settings"], base_url="https://portal.example"))
    assert bare.config["SESSION_COOKIE_NAME"] == "__Host-coordinoter_session"
    assert bare.config["SESSION_COOKIE_SECURE"]

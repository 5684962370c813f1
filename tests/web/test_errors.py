"""Whatever goes wrong, the page is calm, and its reference stands in the log."""

from __future__ import annotations

import logging
import re

import pytest
from flask import Flask, abort

from portal.config import ConfigError
from portal.web.guards import public
from tests.walker import Walker
from tests.world import HTMX, Visitor, World


@pytest.fixture
def broken(world: World) -> Visitor:
    """Somebody at a portal with pages that go wrong in every way."""
    app = world.app
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/broken/<int:code>", "broken_by_code", public(lambda code: abort(code)))
    app.add_url_rule("/broken/crash", "broken_by_crash", public(crash))
    app.add_url_rule("/broken/settings", "broken_by_settings", public(unset))
    visitor = world.visitor()
    visitor.client = Walker(visitor.client)  # type: ignore[assignment]
    return visitor


def crash() -> str:
    raise RuntimeError("a secret that nobody may read")


def unset() -> str:
    raise ConfigError("PORTAL_SOMETHING is not set.")


def reference(text: str) -> str:
    found = re.search(r"<code>([0-9A-F]{8})</code>", text)
    assert found, text[:300]
    return found[1]


def test_it_works(anybody: Visitor) -> None:
    page = anybody.get("/nothing-here", status=404)
    assert page.h1 is not None
    assert page.h1.get_text() == "There is nothing here"


@pytest.mark.parametrize("code", [400, 403, 404, 405, 409, 413, 429, 500, 503])
def test_every_code_has_a_page_and_a_notice(broken: Visitor, code: int) -> None:
    page = broken.client.get(f"/broken/{code}")
    assert page.status_code == code
    assert reference(page.text)
    part = broken.client.get(f"/broken/{code}", headers=HTMX)
    assert part.status_code == code
    assert part.headers["HX-Retarget"] == "#notices"
    assert "<html" not in part.text


def test_a_crash_tells_nothing_but_its_reference(broken: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        page = broken.client.get("/broken/crash?code=one-time-code")
    assert page.status_code == 500
    assert "secret" not in page.text
    assert reference(page.text) in caplog.text
    assert "one-time-code" not in caplog.text


def test_a_wrong_setting_is_for_the_operator(broken: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    page = broken.client.get("/broken/settings")
    assert page.status_code == 500
    assert "PORTAL_SOMETHING" not in page.text
    assert "PORTAL_SOMETHING" in caplog.text


def test_the_error_page_needs_no_database(
    broken: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(app.jinja_env.globals, "asset", lambda name: 1 / 0)
    page = broken.client.get("/broken/crash")
    assert page.status_code == 500
    assert "Something broke on our side" in page.text
    assert reference(page.text) in caplog.text


def test_a_wrong_method_says_which_are_right(anybody: Visitor) -> None:
    page = anybody.client.get("/sign-out")
    assert page.status_code == 405
    assert "POST" in page.headers["Allow"]


def test_a_form_of_another_session_is_refused_calmly(alice: Visitor) -> None:
    page = alice.client.post("/chat/messages", data={"text": "hello", "csrf_token": "old"})
    assert page.status_code == 400
    assert "open for too long" in page.text


def test_a_form_whose_session_has_ended_leads_to_the_sign_in(world: World) -> None:
    """The page stood open over night, or the person signed out in another tab: there is nothing to reload."""
    alice = world.connected()
    address, data = alice.form("Disconnect from Microsoft")["action"], {"csrf_token": alice.csrf()}
    alice.client.post("/sign-out", data=data)
    page = alice.client.post(str(address), data=data)
    assert (page.status_code, page.location) == (303, "/sign-in?next=/")
    part = alice.client.post(
        str(address), data=data, headers={**HTMX, "HX-Current-URL": "http://localhost/integrations"}
    )
    assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/sign-in?next=/integrations")
    assert world.connection().state == "connected"


def test_too_much_at_once_is_refused_calmly(alice: Visitor) -> None:
    page = alice.client.post("/chat/messages", data={"text": "x" * 4_000_000})
    assert page.status_code in (400, 413)
    assert reference(page.text)

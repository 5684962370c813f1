"""The portal answers only to its own name."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask, request

from portal import create_app
from portal.web.hosts import is_ours
from tests.world import Visitor


def test_it_works(anybody: Visitor) -> None:
    anybody.get("/sign-in")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:8000", "localhost.evil.example"])
def test_a_demo_answers_to_loopback_names_only(anybody: Visitor, host: str) -> None:
    page = anybody.client.get("/sign-in", headers={"Host": host})
    assert page.status_code == 400
    assert "integrations-demo" not in page.text


@pytest.mark.parametrize("peer", ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"])
def test_a_demo_answers_to_nobody_from_elsewhere(anybody: Visitor, peer: str) -> None:
    """Whatever they write into the Host header, on a server that was bound to all addresses."""
    page = anybody.client.get("/sign-in", headers={"Host": "127.0.0.1:8000"}, environ_base={"REMOTE_ADDR": peer})
    assert page.status_code == 403
    assert "Password" not in page.text


@pytest.mark.parametrize("peer", ["127.0.0.2", "::1", "::ffff:127.0.0.1", ""])
def test_a_demo_answers_to_this_machine(anybody: Visitor, peer: str) -> None:
    assert anybody.client.get("/sign-in", environ_base={"REMOTE_ADDR": peer}).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "portal.localhost"])
def test_every_loopback_name_will_do_in_a_demo(app: Flask, host: str) -> None:
    assert is_ours(host, app.extensions["settings"])


def test_elsewhere_only_the_configured_host_is_ours(app: Flask) -> None:
    settings = replace(app.extensions["settings"], demo=False, base_url="https://portal.example.com")
    assert is_ours("portal.example.com", settings)
    assert is_ours("Portal.Example.com", settings)
    assert not is_ours("127.0.0.1:8000", settings)
    assert not is_ours("portal.example.com:8443", settings)


def test_the_health_check_may_come_by_address(anybody: Visitor) -> None:
    assert anybody.client.get("/healthz", headers={"Host": "10.0.0.1"}).status_code == 200


def test_callers_are_known_by_as_many_proxies_as_there_are(app: Flask) -> None:
    """What a caller writes into the header by itself stands before what our proxies add, and counts for nothing."""
    settings = app.extensions["settings"]
    for proxies, expected in ((0, "127.0.0.1"), (1, "198.51.100.7"), (2, "203.0.113.5")):
        made = create_app(replace(settings, proxies=proxies))
        seen = []
        made.before_request_funcs.setdefault(None, []).insert(0, lambda seen=seen: seen.append(request.remote_addr))
        made.test_client().get("/sign-in", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.5, 198.51.100.7"})
        assert seen == [expected]

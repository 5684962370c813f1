"""Help by another service: chosen by a setting, allowed by name, told the situation and nothing about the person."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from flask import Flask

from portal.web.headers import policy
from portal.widget import Widget
from tests.world import World

CHOICES = [
    "intercom:abcd1234",
    "zendesk:11111111-2222-3333-4444-555555555555",
    "chatwoot:https://chat.example.com,tok123",
]


def changed(app: Flask, text: str) -> None:
    app.extensions["settings"] = replace(app.extensions["settings"], help_widget=Widget.read(text))


@pytest.mark.parametrize("text", CHOICES)
def test_it_works(world: World, text: str) -> None:
    alice = world.connected()
    changed(world.app, text)
    page = alice.get("/integrations")
    place = page.find(id="help-launcher")
    assert place is not None
    told = json.loads(str(place["data-elsewhere"]))
    assert told["kind"] == text.split(":")[0]
    assert told["context"] == {"Page": "/integrations", "Connection 1": "Connected"}
    assert "alice" not in str(place["data-elsewhere"]).lower()
    form = place.form
    assert form is not None
    assert form["action"] == "/help"
    assert not form.get("hx-get")
    assert page.find("script", src=lambda src: src and "elsewhere.js" in src) is not None
    assert page.find("script", src=lambda src: src and "chat.js" in src) is None
    allowed = alice.client.get("/integrations").headers["Content-Security-Policy"]
    assert "frame-src" in allowed
    assert "unsafe-eval" not in allowed


def test_own_help_widens_nothing(app: Flask) -> None:
    assert "unsafe" not in policy("https://login.example")
    assert "frame-src" not in policy("https://login.example")


def test_only_the_chosen_service_is_allowed() -> None:
    assert "zdassets" not in policy("https://login.example", Widget.read(CHOICES[0]))
    assert policy("https://login.example", Widget.read(CHOICES[2])).count("https://chat.example.com") == 4


@pytest.mark.parametrize(
    "text",
    ["intercom", "intercom:", "crisp:abcd", "chatwoot:tok123", "chatwoot:http://a.example,tok1", "zendesk:a b;c"],
)
def test_what_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        Widget.read(text)

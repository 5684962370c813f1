"""A NUL in a request is answered with 400, in plain words; PostgreSQL refuses to be asked about one."""

from __future__ import annotations

import json

import pytest

from tests.world import CARD, HTMX, PASSWORD, World

SAYS = "The request was incomplete or malformed."


@pytest.mark.parametrize("address", [f"{CARD}/card?shown=%00", "/chat/%00/entries", "/help?%00=why"])
def test_it_works(both: World, address: str) -> None:
    alice = both.sign_in("alice@northwind.example")
    answer = alice.client.get(address, headers=HTMX)
    assert answer.status_code == 400
    assert SAYS in answer.get_data(as_text=True)


def test_a_field_with_one_is_refused_too(both: World) -> None:
    anybody = both.visitor()
    anybody.get("/sign-in")
    anybody.press("Sign in", email="alice\0@northwind.example", password=PASSWORD)
    assert anybody.page is not None
    assert anybody.page.status_code == 400
    assert SAYS in anybody.soup.get_text()


def test_a_notification_with_one_is_thrown_away(both: World) -> None:
    both.connected()
    body = json.dumps({"value": [{"subscriptionId": "\0", "clientState": "\0", "changeType": "updated"}]})
    answer = both.visitor().client.post("/webhooks/outlook-calendar/\0", data=body, content_type="application/json")
    assert answer.status_code == 400
    answer = both.visitor().client.post("/webhooks/outlook-calendar/m", data=body, content_type="application/json")
    assert answer.status_code == 202

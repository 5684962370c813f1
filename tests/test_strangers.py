"""Strangers: the whole URL map, walked by everybody who has no business there.

`tests/addresses.txt` lists every address with who may use it. A route that vanishes, appears or opens itself up fails
here until that list says so too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

from portal.db import Base, db
from portal.models import Attachment, Conversation
from portal.web.csrf import csrf
from tests.world import HTMX, Visitor, World

LIST = Path(__file__).with_name("addresses.txt")
STRANGERS = ("charlie@fabrikam.example", "bob@northwind.example", "dana@northwind.example", "sam@coordinoter.example")
OWNED = {"connection_id", "disconnection_id", "conversation_id", "image_id"}
PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 50
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
# The stream and the counters never stand still; the engine's sign of life is nobody's; who looks has signed in.
RESTLESS = {"executors", "counters", "live_events", "sign_ins"}
STREAM, DESK = "/live", "/support"
SECRET = "What Alice told support"


def rules(app: Flask) -> list[Rule]:
    return sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, sorted(rule.methods or ())))


def methods(rule: Rule) -> list[str]:
    return sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})


def is_public(app: Flask, rule: Rule) -> bool:
    return rule.endpoint == "static" or bool(getattr(app.view_functions[rule.endpoint], "is_public", False))


def is_exempt(app: Flask, rule: Rule) -> bool:
    """Whether other servers call it, which have no session to protect."""
    view = app.view_functions[rule.endpoint]
    return f"{view.__module__}.{view.__name__}" in csrf._exempt_views


def line(app: Flask, rule: Rule) -> str:
    who = "anybody" if is_public(app, rule) else "members"
    return f"{','.join(methods(rule)):<5} {rule.rule}  {who}{', machines' if is_exempt(app, rule) else ''}"


def address(rule: Rule, **known: str) -> str:
    """The rule with its gaps filled in."""
    usual = {"slug": "outlook-calendar", "message_id": "nope", "filename": "css/base.css", **known}
    if rule.rule.startswith("/help/"):
        usual["slug"] = "disconnect-outlook-calendar"
    return re.sub(r"<(?:\w+:)?(\w+)>", lambda gap: usual.get(gap[1], "nope"), rule.rule)


def everything() -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    db.session.rollback()
    found = {
        table.name: [tuple(row) for row in db.session.execute(select(table).order_by(*table.primary_key.columns))]
        for table in Base.metadata.sorted_tables
        if table.name not in RESTLESS
    }
    db.session.rollback()
    return found


@pytest.fixture
def of_alice(world: World) -> dict[str, str]:
    """Alice has a living connection, a disconnection that has ended, and a conversation with a picture; their ids."""
    alice = world.connected()
    first = world.connection().id
    alice.post(f"/connections/{first}/disconnect")
    world.work()
    ended = world.disconnection().id
    alice.connect("megan@outlook.example")
    world.work()
    said = {"csrf_token": alice.csrf(), "text": SECRET, "page": "/integrations", "image": (BytesIO(PICTURE), "a.png")}
    assert alice.client.post("/chat/messages", data=said).status_code == 303
    return {
        "connection_id": world.connection().id,
        "disconnection_id": ended,
        "former_id": first,
        "conversation_id": db.session.scalars(select(Conversation.id)).one(),
        "image_id": db.session.scalars(select(Attachment.id)).one(),
    }


def theirs(app: Flask, of_alice: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Method and address of everything that belongs to Alice, but for support's own view of it."""
    for rule in rules(app):
        if OWNED & rule.arguments and not rule.rule.startswith(DESK):
            for method in methods(rule):
                yield method, address(rule, **of_alice)
                if "connection_id" in rule.arguments:
                    yield method, address(rule, connection_id=of_alice["former_id"])


def ask(visitor: Visitor, method: str, path: str, token: str, headers: dict[str, str]) -> Any:
    """One request, with the token where one is wanted."""
    if method == "GET":
        return visitor.client.open(path, method="GET", headers=headers)
    return visitor.client.open(path, method=method, data={"csrf_token": token}, headers=headers)


def test_it_works(world: World, of_alice: dict[str, str]) -> None:
    alice, charlie = world.sign_in("alice@northwind.example"), world.sign_in("charlie@fabrikam.example")
    path = f"/disconnections/{of_alice['disconnection_id']}"
    alice.get(path)
    charlie.get(path, status=404)


def test_the_list_of_addresses_is_complete(app: Flask) -> None:
    listed = [each for each in LIST.read_text().splitlines() if each and not each.startswith("#")]
    assert [line(app, rule) for rule in rules(app)] == listed, "a route appeared, vanished or changed who may use it"


def test_nothing_of_alices_exists_for_anybody_else(world: World, of_alice: dict[str, str]) -> None:
    before = everything()
    for email in (*STRANGERS, None):
        stranger = world.sign_in(email) if email else world.visitor()
        stranger.get("/sign-in" if email is None else "/help")
        token, asked = stranger.csrf(), 0
        for method, path in theirs(world.app, of_alice):
            for headers in ({}, HTMX):
                answer = ask(stranger, method, path, token, headers)
                to_sign_in = () if email else (303, 401)
                assert answer.status_code in (404, *to_sign_in), f"{email}: {method} {path} {headers}: {answer.status}"
                assert "megan@outlook.example" not in answer.text
                assert SECRET not in answer.text
                asked += 1
        assert asked > 40
    assert everything() == before


def test_a_stranger_cannot_tell_what_exists(world: World, of_alice: dict[str, str]) -> None:
    """What is Alice's and what never was get the same answer, but for the reference and the address itself."""
    stranger = world.sign_in("bob@northwind.example")
    stranger.get("/help")
    token, unknown = stranger.csrf(), "0" * 32

    def told(method: str, path: str) -> str:
        text = ask(stranger, method, path, token, {}).text
        changing = r'name="csrf_token" value="[^"]*"|<code>[0-9A-F]{8}</code>|value="[0-9A-F]{8}"|since=[^"]*'
        text = re.sub(changing, "", text)
        return text.replace(path, "PATH")

    for rule in rules(world.app):
        if not OWNED & rule.arguments:
            continue
        for method in methods(rule):
            real = told(method, address(rule, **of_alice))
            made_up = told(method, address(rule, **dict.fromkeys(OWNED, unknown)))
            assert real == made_up, f"{method} {rule.rule}"


def test_the_pages_of_others_show_nothing_of_alices(world: World, of_alice: dict[str, str]) -> None:
    for email in STRANGERS:
        stranger = world.sign_in(email)
        for rule in rules(world.app):
            if "GET" not in methods(rule) or OWNED & rule.arguments or rule.rule == STREAM or rule.endpoint == "static":
                continue
            answer = stranger.client.get(address(rule))
            assert answer.status_code < 500
            if email.startswith("sam@") and rule.rule.startswith(DESK):
                continue  # support reads what people write to support
            for secret in ("megan@outlook.example", SECRET, *of_alice.values()):
                assert secret not in answer.text, f"{email} finds {secret} at {rule.rule}"


def test_whoever_is_not_signed_in_is_sent_to_sign_in(world: World, of_alice: dict[str, str], anybody: Visitor) -> None:
    anybody.get("/sign-in")
    token = anybody.csrf()
    before = everything()
    for rule in rules(world.app):
        if is_public(world.app, rule):
            continue
        for method in methods(rule):
            path = address(rule, **of_alice)
            answer = ask(anybody, method, path, token, {})
            assert answer.status_code == 303, f"{method} {path}: {answer.status}"
            target = urlsplit(answer.location)
            assert target.path == "/sign-in"
            assert parse_qs(target.query).get("next", ["/"]) == [path if method == "GET" else "/"]
            part = ask(anybody, method, path, token, HTMX)
            assert part.status_code == 401
            assert urlsplit(part.headers["HX-Redirect"]).path == "/sign-in"
            assert not part.data
    assert everything() == before


def test_every_unsafe_route_wants_the_token_of_its_session(world: World, of_alice: dict[str, str]) -> None:
    alice = world.sign_in("alice@northwind.example")
    before = everything()
    asked = 0
    for rule in rules(world.app):
        for method in set(methods(rule)) & UNSAFE:
            if is_exempt(world.app, rule):
                continue
            path = address(rule, **of_alice)
            for data in ({}, {"csrf_token": ""}, {"csrf_token": "made-up"}):
                for headers in ({}, HTMX):
                    answer = alice.client.open(path, method=method, data=data, headers=headers)
                    assert answer.status_code == 400, f"{method} {path}: {answer.status}"
                    assert "This page was open for too long" in answer.text
            asked += 1
    assert asked > 8
    assert everything() == before


def test_a_token_of_another_session_is_no_token(world: World, of_alice: dict[str, str]) -> None:
    alice, charlie = world.sign_in("alice@northwind.example"), world.sign_in("charlie@fabrikam.example")
    charlie.get("/integrations")
    path = f"/connections/{of_alice['connection_id']}/disconnect"
    assert alice.client.post(path, data={"csrf_token": charlie.csrf()}).status_code == 400
    assert alice.client.post(path, headers={"X-CSRFToken": charlie.csrf()}).status_code == 400
    assert world.connection().state == "connected"


def test_only_machines_go_without_a_token(app: Flask) -> None:
    assert [rule.rule for rule in rules(app) if is_exempt(app, rule)] == ["/webhooks/<slug>/<mark>"]


def test_opening_any_address_changes_nothing(world: World, of_alice: dict[str, str]) -> None:
    """GET on everything, page and part: what is a button's target is refused, what is a page is harmless."""
    pages = {rule.rule for rule in rules(world.app) if "GET" in methods(rule)}
    before, calls = everything(), len(world.microsoft.calls())
    for email in ("alice@northwind.example", "sam@coordinoter.example", None):
        visitor = world.sign_in(email) if email else world.visitor()
        for rule in rules(world.app):
            if rule.rule == STREAM:
                continue
            for headers in ({}, HTMX):
                answer = visitor.client.get(address(rule, **of_alice), headers=headers)
                assert answer.status_code < 500, f"{rule.rule}: {answer.status}"
                if rule.rule not in pages and (email or is_public(world.app, rule)):
                    assert answer.status_code in (404, 405), f"{rule.rule}: {answer.status}"
    assert everything() == before
    assert len(world.microsoft.calls()) == calls, "nor is Microsoft asked anything"


def test_no_other_method_does_anything(world: World, of_alice: dict[str, str]) -> None:
    alice = world.sign_in("alice@northwind.example")
    before = everything()
    for method in ("PUT", "PATCH", "DELETE", "TRACE"):
        for rule in rules(world.app):
            answer = alice.client.open(address(rule, **of_alice), method=method)
            assert answer.status_code in (400, 405), f"{method} {rule.rule}: {answer.status}"
    assert everything() == before


def test_support_is_for_support(world: World, of_alice: dict[str, str]) -> None:
    before = everything()
    for email in (*STRANGERS[:3], "alice@northwind.example"):
        member = world.sign_in(email)
        member.get("/help")
        token = member.csrf()
        for rule in rules(world.app):
            if rule.rule.startswith(DESK):
                for method in methods(rule):
                    answer = ask(member, method, address(rule, **of_alice), token, {})
                    assert answer.status_code == 403, f"{email}: {method} {rule.rule}: {answer.status}"
    assert everything() == before
    sam = world.sign_in("sam@coordinoter.example")
    sam.get("/support")
    sam.get(f"/support/conversations/{of_alice['conversation_id']}")
    assert SECRET in sam.soup.get_text()
    assert "megan@outlook.example" not in sam.soup.get_text(), "support sees states, not mailboxes"


def test_the_business_is_for_its_administrator(world: World, of_alice: dict[str, str]) -> None:
    before = everything()
    for email in ("bob@northwind.example", "alice@northwind.example", "sam@coordinoter.example"):
        member = world.sign_in(email)
        member.get("/help")
        token = member.csrf()
        for rule in rules(world.app):
            if rule.rule.startswith("/business"):
                for method in methods(rule):
                    answer = ask(member, method, address(rule, **of_alice), token, {})
                    assert answer.status_code == 403, f"{email}: {method} {rule.rule}: {answer.status}"
    assert everything() == before

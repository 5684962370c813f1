"""Secrets in the clear: every kind is found wherever it stands, and ordinary text is left alone."""

from __future__ import annotations

import base64
import json
import pickle
import random
import secrets

import pytest

from portal.config import ROOT
from portal.residue.clear import Clear, Clears
from portal.residue.layers import layers
from portal.residue.windows import windows

chance = random.Random(7)
CLIENT_SECRET = b"Q8~" + secrets.token_urlsafe(32).encode()


def b64(told: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


JWT = f"{b64({'typ': 'JWT', 'alg': 'RS256', 'kid': 'k'})}.{b64({'aud': 'graph', 'oid': 'x' * 300})}.{'s' * 60}A1"
WORK = "1.AXkA" + secrets.token_urlsafe(180)
PERSONAL = "M.C507_BAY.0.U.-" + secrets.token_urlsafe(180)
PERSONAL_ACCESS = "EwB" + base64.b64encode(secrets.token_bytes(720)).decode()
OPAQUE = secrets.token_urlsafe(32) + "7aB"

KINDS = {
    "JWT": JWT,
    "refresh token of an organisation": WORK,
    "refresh token of a person": PERSONAL,
    "access token of a person": PERSONAL_ACCESS,
    "json": json.dumps({"refresh_token": OPAQUE}),
    "form": f"grant_type=x&code_verifier={OPAQUE}&b=c",
    "python": repr({"access_token": OPAQUE}),
    "client state": json.dumps({"clientState": OPAQUE}),
    "bearer": f"Authorization: Bearer {OPAQUE}",
    "code": f"GET /callback?code={OPAQUE}&state=1 HTTP/1.1",
    "delta link": f"https://graph.microsoft.com/v1.0/me/calendarView/delta?$deltatoken={OPAQUE}",
    "next link, quoted": f"https://graph.microsoft.com/v1.0/me/calendarView/delta?%24skiptoken={OPAQUE}",
    "our own secret": CLIENT_SECRET.decode(),
    "our own secret in a form": CLIENT_SECRET.decode().replace("~", "%7E"),
}
AROUND = {
    "noise": (b"\x00\x17\xff\x02", b"\x00\x01"),
    "columns side by side": (b"SUCCESS", b"\x00"),
    "text": (b'the line says: "', b'"\n'),
    "nothing": (b"", b""),
}


CLEARS = Clears((("client secret", CLIENT_SECRET),))


def found(data: bytes) -> list[Clear]:
    return list(CLEARS.find(data))


def found_hidden(data: bytes) -> list[Clear]:
    return [clear for layer in layers(data) if layer.hidden for clear in CLEARS.find(layer.data)]


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("kind", KINDS)
def test_it_works(kind: str, around: str) -> None:
    if around == "columns side by side" and kind == "access token of a person":
        assert found(b"SUCCESS" + KINDS[kind].encode() * 2), "only long ones are told from other base64"
        return
    before, after = AROUND[around]
    for each in found(before + KINDS[kind].encode() + after):
        assert each.secret in (before + KINDS[kind].encode() + after)
        break
    else:
        pytest.fail(f"{kind} was not found")


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_base64_hides_nothing(kind: str, before: int) -> None:
    """As in the tables of a durable engine: a pickle in base64, with another column right before it."""
    pickled = base64.b64encode(pickle.dumps({"args": (KINDS[kind], 1)}))
    for hidden in (pickled, base64.urlsafe_b64encode(pickled), base64.encodebytes(pickled)):
        assert found_hidden(b"X" * before + hidden + b"\0"), kind


def test_a_pickle_as_it_is_hides_nothing() -> None:
    for protocol in range(2, 6):
        assert found(pickle.dumps({"refresh_token": OPAQUE}, protocol))


@pytest.mark.parametrize("kind", KINDS)
def test_no_boundary_between_two_reads_hides_anything(kind: str) -> None:
    text = KINDS[kind].encode()
    data = b"\x01" * 700 + text + b"\x02" * 400
    everything = {(each.kind, each.start, each.end) for each in found(data)}
    for chunk in (1, 13, 64, 500, 1024):
        pieces = [("file", at, data[at : at + chunk]) for at in range(0, len(data), chunk)]
        seen = {
            (each.kind, window.where(each.start)[1], window.where(each.start)[1] + each.end - each.start)
            for window in windows(pieces, chunk=chunk, overlap=1400)
            for each in CLEARS.find(window.data)
            if window.is_new(each.start, each.end)
        }
        assert everything <= seen


@pytest.mark.parametrize("kind", ["JWT", "refresh token of an organisation", "refresh token of a person", "json"])
def test_what_was_cut_off_is_found_too(kind: str) -> None:
    whole = KINDS[kind].encode()
    for length in range(len(whole) * 3 // 4, len(whole)):
        assert found(b"\0" + whole[:length] + b"\0"), length


def test_ordinary_text_is_left_alone() -> None:
    for pattern in ("templates/**/*.html", "templates/**/*.md", "portal/**/*.py", "tests/workflows/*.py"):
        for path in ROOT.glob(pattern):
            assert not found(path.read_bytes()), path


@pytest.mark.parametrize(
    "text",
    [
        "cns1.A" + secrets.token_urlsafe(300),  # sealed
        '{"refresh_token": "cns1.' + secrets.token_urlsafe(60) + '"}',
        '{"refresh_token": "[hidden 1234abcd]"}',
        "access_token is not accepted any more",
        "code=AADSTS70008",
        "AAMkAGI1" + secrets.token_urlsafe(150),  # an event's id
        "gAS" + base64.b64encode(secrets.token_bytes(90)).decode(),  # a pickle of something random
        "version 1.A and 0.Abracadabra-is-not-a-token-but-a-word",
    ],
)
def test_what_only_looks_similar_is_left_alone(text: str) -> None:
    assert not found(text.encode())
    assert not found_hidden(text.encode())


def test_random_bytes_are_left_alone() -> None:
    for _ in range(20):
        for data in (chance.randbytes(200_000), base64.urlsafe_b64encode(chance.randbytes(3000))):
            assert not found(data)
            assert not found_hidden(data)

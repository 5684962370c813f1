"""A recording full of what must not be kept comes out without it, and the later requests of a replay still fit."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.redact import Redactor

LOGIN, GRAPH = "https://login.microsoftonline.com", "https://graph.microsoft.com"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
TOKENS = {"access_token": "at-1", "refresh_token": "rt-1", "id_token": JWT, "client_info": "eyJ1aWQiOiJhIn0"}
EVENT = {"id": "AAMk/1==", "subject": "Salary", "body": {"content": "<p>"}, "attendees": [{"name": "Megan"}]}
DELTA = f"{GRAPH}/v1.0/me/delta?$deltatoken=dt-1"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def interaction(uri: str, sent: str, answer: Any, kind: str = FORM) -> dict[str, Any]:
    return {
        "recorded_at": "2026-03-02T09:00:00",
        "request": {
            "method": "POST",
            "uri": uri,
            "headers": {"Authorization": ["Bearer at-1"], "Cookie": ["session=1"], "Content-Type": [kind]},
            "body": {"string": sent},
        },
        "response": {
            "status": {"code": 200, "message": "OK"},
            "headers": {"Set-Cookie": ["fpc=secret"], "x-ms-request-id": ["1"]},
            "body": {"string": answer if isinstance(answer, str) else json.dumps(answer)},
        },
    }


RECORDED = [
    interaction(f"{LOGIN}/common/oauth2/v2.0/token", "code=c-1&code_verifier=v-1&client_id=real-client", TOKENS),
    interaction(
        f"{LOGIN}/common/oauth2/v2.0/token",
        "refresh_token=rt-1&client_secret=s-1",
        {"error": "invalid_grant", "error_description": "AADSTS: trace"},
    ),
    interaction(f"{LOGIN}/common/discovery/v2.0/keys", "", {"keys": [{"kid": "a-kid"}]}),
    interaction(f"{GRAPH}/v1.0/me/delta", "{}", {"value": [EVENT], "@odata.deltaLink": DELTA}, JSON),
    interaction(DELTA, "", {"value": [{"id": "AAMk/1==", "@removed": {"reason": "deleted"}}]}),
    interaction(f"{GRAPH}/v1.0/me/events/AAMk%2F1%3D%3D", "", {"mail": "megan@corp.example"}),
    interaction(f"{GRAPH}/v1.0/me", "", "<html>Megan</html>"),
]
SECRETS = [
    *("at-1", "rt-1", JWT, "eyJ1", "c-1", "v-1", "s-1", "dt-1", "Salary", "Megan", "megan", "AAMk", "fpc"),
    *("session=1", "AADSTS", "microsoftonline", "real-client", "<p>", "a-kid"),
]


def redacted() -> dict[str, Any]:
    constants = {LOGIN: "https://login.example", GRAPH: "https://graph.example", "real-client": "portal-client"}
    return Redactor(constants).cassette(
        {"recorded_with": "betamax", "http_interactions": RECORDED}, "in a test", "a note"
    )


def test_it_works() -> None:
    text = json.dumps(redacted())
    assert [secret for secret in SECRETS if secret in text] == []


def test_a_value_has_the_same_placeholder_wherever_it_comes_again() -> None:
    kept = redacted()["http_interactions"]
    first, second, _, delta, again, event, _ = (each["response"]["body"]["string"] for each in kept)
    assert json.loads(first)["refresh_token"] == "redacted-refresh-token-1"
    assert "refresh_token=redacted-refresh-token-1" in kept[1]["request"]["body"]["string"]
    assert json.loads(delta)["@odata.deltaLink"] == kept[4]["request"]["uri"]
    assert kept[4]["request"]["uri"] == "https://graph.example/v1.0/me/delta?$deltatoken=redacted-link-1"
    assert json.loads(delta)["value"][0]["id"] == json.loads(again)["value"][0]["id"] == "redacted-id-1"
    assert kept[5]["request"]["uri"].endswith("/redacted-id-1") and json.loads(event) == {"mail": "person@example.com"}
    assert json.loads(second) == {"error": "invalid_grant"}


def test_it_says_who_was_recorded() -> None:
    assert redacted()["recorded_with"] == "betamax, in a test" and redacted()["note"] == "a note"

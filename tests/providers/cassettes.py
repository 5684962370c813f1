"""Betamax around the provider's transport: how cassettes are recorded, matched and replayed.

`RECORD=1 python -m pytest tests/providers/test_cassettes.py` records all of them anew against the sandbox;
`python -m tests.providers.record` records what it can against a real tenant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
from betamax import Betamax
from betamax.matchers.base import BaseMatcher
from betamax.serializers.json_serializer import JSONSerializer
from requests.adapters import BaseAdapter

from tests.providers.genuine import id_token, public_key
from tests.providers.redact import SECRET_FIELDS, Redactor

DIRECTORY = Path(__file__).resolve().parent.parent / "cassettes"
LOGIN, GRAPH = "https://login.example", "https://graph.example"
"""The origins that every cassette names, whoever was recorded."""

NONCE = "a-nonce-of-the-cassettes"
USER_AGENT = "Coordinoter/test"
SANDBOX = "through the real provider code, against the project's own sandbox Microsoft"
NOTE = "Recorded at the sandbox: proves that provider and sandbox agree, not that Microsoft does."
VARYING = {"startDateTime", "endDateTime", "expirationDateTime"}
"""What depends on the day of recording."""


class Redacted(JSONSerializer):  # type: ignore[misc]
    """Writes a cassette without its secrets; reads it with an id_token and a key that only the test knows."""

    name = "redacted"
    constants: Mapping[str, str] = {}
    recorded_with, note = SANDBOX, NOTE

    def serialize(self, cassette_data: Mapping[str, Any]) -> str:
        """The text to write."""
        kept = Redactor(self.constants).cassette(cassette_data, self.recorded_with, self.note)
        return json.dumps(kept, indent=1, ensure_ascii=False) + "\n"

    def deserialize(self, cassette_data: str) -> dict[str, Any]:
        """The cassette, with a genuine id_token where one was."""
        found: dict[str, Any] = super().deserialize(cassette_data)
        for interaction in found.get("http_interactions", []):
            body, uri = interaction["response"]["body"], interaction["request"]["uri"]
            if uri.endswith("/openid-configuration"):
                body["string"] = json.dumps({**json.loads(body["string"]), "issuer": f"{LOGIN}/{{tenantid}}/v2.0"})
            elif uri.endswith("/keys"):
                body["string"] = json.dumps({"keys": [public_key()]})
            elif "id_token" in body["string"]:
                body["string"] = json.dumps({**json.loads(body["string"]), "id_token": id_token(LOGIN, NONCE)})
        return found


class Meaning(BaseMatcher):  # type: ignore[misc]
    """Same method, address and body, but for secrets and the day."""

    name = "meaning"

    def match(self, request: requests.PreparedRequest, recorded_request: Mapping[str, Any]) -> bool:
        """Whether a request is the recorded one."""
        body = request.body.decode() if isinstance(request.body, bytes) else str(request.body or "")
        recorded = recorded_request["body"]["string"]
        return bool(
            request.method == recorded_request["method"]
            and _address(str(request.url)) == _address(recorded_request["uri"])
            and _meaning(body) == _meaning(recorded)
        )


Betamax.register_serializer(Redacted)
Betamax.register_request_matcher(Meaning)


def _address(uri: str) -> tuple[str, ...]:
    parts = urlsplit(uri)
    query = sorted(f"{k}={v}" for k, v in parse_qsl(parts.query, keep_blank_values=True) if k not in VARYING)
    return (parts.scheme, parts.netloc, parts.path, *query)


def _meaning(body: str) -> dict[str, Any]:
    if body.startswith("{"):
        kept = Redactor({}).pruned(json.loads(body))
        return {key: value for key, value in kept.items() if key not in VARYING}
    return {key: value for key, value in parse_qsl(body) if key not in SECRET_FIELDS}


@contextmanager
def cassette(name: str, line: BaseAdapter | None = None) -> Iterator[BaseAdapter]:
    """The transport for one scene: records over `line` when there is one, else replays."""
    path = DIRECTORY / f"{name}.json"
    if line is not None:
        path.unlink(missing_ok=True)
    assert line is not None or path.exists(), f"there is no cassette {name}: record it with RECORD=1"
    session = requests.Session()
    if line is not None:
        session.mount("https://", line)
    recorder = Betamax(session, cassette_library_dir=str(DIRECTORY))
    recorder.use_cassette(
        name,
        record="once" if line is not None else "none",
        match_requests_on=["meaning"],
        serialize_with="redacted",
    )
    with recorder:
        yield session.get_adapter("https://")

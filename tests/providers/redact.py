"""What of a recording may be kept: a cassette is written anew from allow-lists, so that what nobody named stays out.

Tokens, codes, verifiers, secrets, link tokens and ids become placeholders, the same one wherever a value comes again,
so that a replay can still follow a delta link or delete the subscription that it made. Names of people, texts of
events and texts of errors are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

SECRET_FIELDS = {"client_secret", "client_assertion", "code", "code_verifier", "refresh_token", "token"}
SECRET_ANSWERS = {"access_token", "refresh_token", "id_token"}
REQUEST_HEADERS = {"accept", "content-type", "prefer", "user-agent"}
RESPONSE_HEADERS = {"content-type", "retry-after", "www-authenticate"}
ANSWER_KEYS = {"token_type", "scope", "expires_in", "error", "error_codes", "suberror", "error_uri"} | SECRET_ANSWERS
DISCOVERY_KEYS = {
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "token_endpoint_auth_methods_supported",
}
GRAPH_KEYS = {
    "@odata.deltaLink", "@odata.nextLink", "@removed", "canEdit", "changeType", "clientId", "clientState", "code",
    "consentType", "dateTime", "displayName", "end", "error", "expirationDateTime", "id", "innerError", "isAllDay",
    "isCancelled", "isDefaultCalendar", "lifecycleNotificationUrl", "mail", "name", "notificationUrl",
    "principalId", "reason", "resource", "sensitivity", "seriesMasterId", "showAs", "start", "subject", "timeZone",
    "transactionId", "type", "userPrincipalName", "value",
}  # fmt: skip
TEXTS = {
    "subject": "A subject",
    "name": "A calendar",
    "mail": "person@example.com",
    "userPrincipalName": "person@example.com",
    "displayName": "A Person",
    "clientState": "a-client-state",
}
IDS = {"id", "seriesMasterId", "clientId", "principalId"}
LINK_TOKEN = re.compile(r"((?:\$|%24)(?:delta|skip)token=)([^&#\"\s]+)")


class Redactor:
    """One cassette's placeholders. `constants` are further texts to replace: origins, the client id, addresses."""

    def __init__(self, constants: Mapping[str, str]) -> None:
        self._found: dict[str, str] = dict(constants)
        self._counts: dict[str, int] = {}

    def cassette(self, data: Mapping[str, Any], recorded_with: str, note: str) -> dict[str, Any]:
        """The whole cassette as it may be written."""
        kept = [self._interaction(each) for each in data["http_interactions"]]
        text = json.dumps(kept)
        for value, placeholder in sorted(self._found.items(), key=lambda pair: -len(pair[0])):
            for form in {value, quote(value, safe="")}:
                text = text.replace(form, placeholder)
        return {"recorded_with": f"{data['recorded_with']}, {recorded_with}", "note": note,
                "http_interactions": json.loads(text)}  # fmt: skip

    def _interaction(self, whole: Mapping[str, Any]) -> dict[str, Any]:
        request, response = whole["request"], whole["response"]
        uri = self._links(request["uri"])
        return {
            "recorded_at": whole["recorded_at"],
            "request": {
                "method": request["method"],
                "uri": uri,
                "headers": self._request_headers(request["headers"]),
                "body": {"encoding": "utf-8", "string": self._request_body(request)},
            },
            "response": {
                "url": uri,
                "status": response["status"],
                "headers": _only(response["headers"], RESPONSE_HEADERS),
                "body": {"encoding": "utf-8", "string": self._response_body(uri, response["body"]["string"])},
            },
        }

    def _request_headers(self, headers: Mapping[str, Any]) -> dict[str, Any]:
        kept = _only(headers, REQUEST_HEADERS)
        for name, values in headers.items():
            if name.lower() == "authorization":
                scheme, _, token = values[0].partition(" ")
                kept[name] = [f"{scheme} {self._placeholder('access_token', token)}"]
        return kept

    def _request_body(self, request: Mapping[str, Any]) -> str:
        body = request["body"]["string"]
        if "json" in "".join(request["headers"].get("Content-Type", [])):
            return json.dumps(self.pruned(json.loads(body)))
        form = parse_qsl(body, keep_blank_values=True)
        return urlencode([(k, self._placeholder(k, v) if k in SECRET_FIELDS else v) for k, v in form])

    def _response_body(self, uri: str, body: str) -> str:
        try:
            found = json.loads(body)
        except ValueError:
            return "" if not body else "(not JSON)"
        if "/v1.0/" in uri:
            return json.dumps(self.pruned(found))
        if uri.endswith("/keys"):
            return json.dumps({"keys": []})
        allowed = DISCOVERY_KEYS if uri.endswith("openid-configuration") else ANSWER_KEYS
        kept = {key: value for key, value in found.items() if key in allowed}
        for key in SECRET_ANSWERS & set(kept):
            kept[key] = self._placeholder(key, kept[key])
        return json.dumps(kept)

    def pruned(self, value: Any, key: str = "") -> Any:
        """Graph's JSON with nothing but what is on the list."""
        if isinstance(value, dict):
            return {name: self.pruned(inner, name) for name, inner in value.items() if name in GRAPH_KEYS}
        if isinstance(value, list):
            return [self.pruned(inner, key) for inner in value]
        if isinstance(value, str) and key in IDS:
            return self._placeholder("id", value)
        if isinstance(value, str) and value and key in TEXTS:
            return TEXTS[key]
        return self._links(value) if isinstance(value, str) else value

    def _links(self, text: str) -> str:
        return LINK_TOKEN.sub(lambda found: found[1] + self._placeholder("link", found[2]), text)

    def _placeholder(self, kind: str, value: str) -> str:
        if value not in self._found:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._found[value] = f"redacted-{kind.replace('_', '-')}-{self._counts[kind]}"
        return self._found[value]


def _only(headers: Mapping[str, Any], allowed: set[str]) -> dict[str, Any]:
    return {name: values for name, values in headers.items() if name.lower() in allowed}

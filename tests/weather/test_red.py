"""The judge of the cells can say no: each bug that the table once found, planted again, turns a cell red."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from portal.providers.base import ProviderError
from portal.providers.outlook import grants, graph
from portal.providers.outlook import tokens as tokens_at_microsoft
from portal.providers.outlook.caller import Caller
from portal.providers.outlook.http import request_id
from portal.providers.outlook.outlook import OutlookProvider
from portal.providers.outlook.wire import Wire
from portal.workflows import carry_out, subscriptions_left, tokens
from portal.workflows.promise import Work
from tests.weather.cell import Place, run
from tests.weather.expected import lasting


def any_success_is_a_deletion(patch: pytest.MonkeyPatch) -> None:
    """A proxy's page with status 200 passes for a deletion."""
    patch.setattr(
        Caller,
        "delete",
        lambda self, access, address, name, headers=None: request_id(
            self.call(access, "DELETE", address, name, headers=headers)
        ),
    )


def only_the_probe_is_told(patch: pytest.MonkeyPatch) -> None:
    """The receipt forgets the access token that the disconnection itself refreshed."""
    patch.setattr(tokens, "tell", lambda *_: None)


def subscriptions_are_not_told(patch: pytest.MonkeyPatch) -> None:
    """The receipt says that a subscription lapses, but a moment too early."""
    patch.setattr(subscriptions_left, "_latest", lambda row, _: row.started_at)


def given_up_at_once(patch: pytest.MonkeyPatch) -> None:
    """A remote step does not wait for better weather."""

    def end(disconnection_id: str, step: Any, _attempts: int, trouble: str, *_: Any) -> None:
        carry_out._note_end(disconnection_id, step.name, step.give_up(Work(disconnection_id), trouble))

    patch.setattr(carry_out, "_try_later", end)


def redirects_are_followed(patch: pytest.MonkeyPatch) -> None:
    """The bearer token goes wherever an answer points."""
    honest = Wire.send

    def follow(self: Wire, request: Any, *args: Any, **more: Any) -> Any:
        if request.method == "GET" and request.path_url == "/v1.0/subscriptions":
            answer = HTTPAdapter.send(self, request, timeout=5)
            request.url = answer.headers.get("Location", request.url)
        return honest(self, request, *args, **more)

    patch.setattr(Wire, "send", follow)


def a_page_is_a_revocation(patch: pytest.MonkeyPatch) -> None:
    """A proxy's page with status 200 passes for a revocation."""
    patch.setattr(tokens_at_microsoft, "is_a_page", lambda _: False)


def deleted_before_all_is_known(patch: pytest.MonkeyPatch) -> None:
    """The person's permission is deleted, and the receipt says that Microsoft refused: it did, of the next question."""

    def look(caller: Caller, access: str, client_id: str, subject: str) -> tuple[list[str], bool]:
        ours = str(graph.own_principal(caller, access, client_id)["id"])
        for grant in grants._grants(caller, access, ours, f"principalId eq '{subject}'"):
            graph.delete_grant(caller, access, grant["id"])
        wide = list(grants._grants(caller, access, ours, f"consentType eq '{grants.EVERYBODY}'"))
        return [], bool(wide)

    patch.setattr(grants, "_look", look)


def not_found_when_not_answered(patch: pytest.MonkeyPatch) -> None:
    """A meeting that could not be looked for counts as one that is not there."""
    honest = OutlookProvider.find_event

    def find(*asked: Any) -> str | None:
        try:
            return honest(*asked)
        except ProviderError:
            return None

    patch.setattr(OutlookProvider, "find_event", find)


@pytest.mark.parametrize(
    ("plant", "call", "weather"),
    [
        (any_success_is_a_deletion, "delete", "not json"),
        (any_success_is_a_deletion, "remove", "empty"),
        (only_the_probe_is_told, "probe_again", "500"),
        (subscriptions_are_not_told, "delete", "503"),
        (given_up_at_once, "list", "500"),
        (redirects_are_followed, "list", "redirect"),
        (any_success_is_a_deletion, "delete_grant", "not json"),
        (a_page_is_a_revocation, "revoke", "not json"),
        (deleted_before_all_is_known, "everyone", "400"),
        (not_found_when_not_answered, "find", "503"),
    ],
)
def test_a_planted_bug_turns_its_cell_red(
    on_sqlite: Place,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    call: str,
    weather: str,
) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run(on_sqlite, call, weather, lasting()[call, weather], lasting=True)


def test_the_same_cells_are_green_without_it(on_sqlite: Place) -> None:
    cells = (("delete", "not json"), ("probe_again", "500"), ("list", "redirect"), ("everyone", "400"), ("find", "503"))
    for call, weather in cells:
        run(on_sqlite, call, weather, lasting()[call, weather], lasting=True)

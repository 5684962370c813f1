"""The machine can say no: each bug planted here turns a life red, and the sentence it breaks is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import update

from portal.db import db
from portal.models import Connection, Disconnection
from portal.providers.outlook.outlook import OutlookProvider
from portal.vault import Vault
from portal.workflows import disconnect, receipt, tokens
from tests.stateful.life import Life

RED = settings(  # a first sign is enough: nothing is made smaller
    max_examples=60,
    stateful_step_count=25,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


def fence_removed(patch: pytest.MonkeyPatch) -> None:
    """Confirming starts the run, but neither state nor epoch moves."""
    honest = disconnect.begin

    def begin(connection_id: str, member_id: str, **more: bool) -> Disconnection | None:
        row = db.session.get(Connection, connection_id)
        was = {"state": row.state, "epoch": row.epoch} if row else {}
        db.session.rollback()
        found = honest(connection_id, member_id, **more)
        db.session.execute(update(Connection).where(Connection.id == connection_id).values(**was))
        db.session.commit()
        return found

    patch.setattr(disconnect, "begin", begin)


def renewed_tokens_not_told(patch: pytest.MonkeyPatch) -> None:
    """The receipt forgets access tokens that were won after the click."""
    patch.setattr(tokens, "tell", lambda *_: None)


def key_not_destroyed(patch: pytest.MonkeyPatch) -> None:
    """The rows go, and the key that opens every copy of them stays."""
    patch.setattr(Vault, "destroy", lambda *_: False)


def subscription_forgotten(patch: pytest.MonkeyPatch) -> None:
    """Our row of the subscription goes, and nobody asks Microsoft to delete it."""
    patch.setattr(OutlookProvider, "unsubscribe", lambda *_: "")


def receipt_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The last step ends, and nothing is handed over."""
    patch.setattr(receipt, "write", lambda *_, **__: None)


PLANTED = [
    (fence_removed, "a_severed_connection_is_on_its_way_out_and_nothing_else"),
    (renewed_tokens_not_told, "an access token lives at the vendor"),
    (key_not_destroyed, "a_finished_disconnection_left_nothing: the key|no_data_key_is_without_an_owner"),
    (subscription_forgotten, "lives at the vendor until .* and nobody knows"),
    (receipt_forgotten, "has ended without a receipt"),
]


@pytest.mark.parametrize("urls", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True)
@pytest.mark.parametrize(("plant", "sentence"), PLANTED, ids=[plant.__name__ for plant, _ in PLANTED])
def test_a_planted_bug_turns_it_red(
    life: type[Life],
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    sentence: str,
) -> None:
    plant(monkeypatch)
    with pytest.raises((AssertionError, FlakyFailure)) as red:
        run_state_machine_as_test(life, settings=RED)
    # Microsoft draws the life of a token by lot, so that what failed once may pass when Hypothesis tries it again.
    failures = getattr(red.value, "exceptions", (red.value,))
    assert any(re.search(sentence, str(each)) for each in failures), failures

"""A database that is away says nothing about a step: no outcome, no trouble told, and the step is done again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from portal import durable
from portal.db import db
from portal.workflows import disconnect
from portal.workflows.carry_out import attempt
from portal.workflows.disconnect import BY_NAME
from portal.workflows.promise import Ended, Work
from tests.world import World


@pytest.mark.parametrize("name", ["end_notifications", "erase_tokens", "tell_you"])
def test_it_is_not_the_steps_fault(both: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    both.connected()
    connection = both.connection()
    begun = disconnect.begin(connection.id, connection.member_id)
    assert begun is not None
    disconnection_id = begun.id
    disconnect.erase_now(disconnection_id)  # nobody is patient any more: only a true verdict may end a step

    def lost(_work: Work) -> Ended:
        raise OperationalError("SELECT", {}, Exception("server closed the connection"))

    monkeypatch.setitem(BY_NAME, name, replace(BY_NAME[name], keep=lost))
    with pytest.raises(durable.StepBroke):
        durable.step(lambda row: attempt(name, row), disconnection_id)
    db.session.rollback()
    step = next(step for step in both.disconnection().steps if step.name == name)
    assert (step.outcome, step.trouble) == (None, None)

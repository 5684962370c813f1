"""kill -9 around a step that support asked for once more: what was asked for is done, once and before the erasure."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from portal.db import db
from portal.models import Disconnection, DisconnectionStep, Member, Receipt
from portal.workflows import conversation, desk, receipt
from tests import invariants
from tests.kill.conftest import BuildTown
from tests.kill.processes import until
from tests.kill.town import Town

AGAIN = "end_notifications"
WHENS = ("before", "locked", "noted")


def hanging(build: BuildTown, kind: str) -> tuple[Town, Disconnection]:
    """Microsoft refused one step, which was given up, and the run waits at a later one."""
    town = build(kind)
    town.sandbox()
    town.web(engine=True, planned=True)
    town.settle(1)
    ids = town.connect(*town.people)
    town.microsoft.breaks("status", "subscriptions", status=403, times=None)
    town.microsoft.breaks("status", "token", status=503, times=None)
    begun = town.click(town.people[0], ids[0])
    until(lambda: step(town, begun, "try_the_old_token").trouble, "the run waits at a later step", within=30)
    assert step(town, begun, AGAIN).outcome == "Expires"
    return town, begun


def step(town: Town, begun: Disconnection, name: str) -> DisconnectionStep:
    found = town.disconnection(begun.connection_id)
    assert found is not None
    return next(each for each in found.steps if each.name == name)


def let_in(town: Town) -> None:
    """Microsoft lets us end its notifications after all; for tokens it still does not answer."""
    refusing = next(each for each in town.microsoft.desk("GET", "faults") if each["status"] == 403)
    town.microsoft.desk("DELETE", f"faults/{refusing['id']}")


def ask(town: Town, begun: Disconnection) -> None:
    """Support's request, as its route would make it."""
    with town.looking():
        person = conversation.Person(member_id=begun.member_id)
        said = conversation.Message("It hangs.")
        at = conversation.start(person, said, reply_to="a@b.example", page="/", article="", situation={})
        owner = db.session.get_one(Member, begun.member_id)
        more = {"business_id": owner.business_id, "password_hash": owner.password_hash}
        supporter = Member(email="sam@coordinoter.example", name="Sam Sorel", role="support", **more)
        db.session.add(supporter)
        db.session.commit()
        desk.retry_step(at, begun.id, AGAIN, supporter, "Microsoft lets us in again")


def ends_well(town: Town, begun: Disconnection) -> None:
    until(lambda: step(town, begun, AGAIN).outcome == "Done", "the step is done after all", within=60)
    assert step(town, begun, "erase_tokens").started_at is None, "and the run still waits where it waited"
    town.microsoft.mend()
    town.until_at_rest([begun.connection_id], within=90)
    with town.looking():
        paper = db.session.scalars(select(Receipt).where(Receipt.disconnection_id == begun.id)).one()
        assert receipt.verify(paper)
        told = {each["name"]: each for each in json.loads(paper.body)["steps"]}
        invariants.nothing_is_left([begun.connection_id])
        invariants.every_key_is_gone([begun.connection_id])
        invariants.one_click_and_one_end_each([begun.connection_id])
        invariants.repeats_change_nothing([begun.connection_id])
    assert told[AGAIN]["outcome"] == "Done"
    assert told[AGAIN]["ended_at"] <= told["erase_tokens"]["ended_at"]
    assert town.microsoft.holds(town.people[0].account)["subscriptions"] == []


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def test_asked_for_while_no_process_lives(build: BuildTown, kind: str) -> None:
    town, begun = hanging(build, kind)
    town.children[-1].kill()
    let_in(town)
    ask(town, begun)
    town.children[-1].start()
    ends_well(town, begun)


@pytest.mark.parametrize(
    ("kind", "when"),
    [
        ("sqlite", "after"),
        *(pytest.param(kind, when, marks=pytest.mark.long) for kind in ("sqlite", "postgresql") for when in WHENS),
        pytest.param("postgresql", "after", marks=pytest.mark.long),
    ],
)
def test_killed_in_the_middle_of_it(build: BuildTown, kind: str, when: str) -> None:
    town, begun = hanging(build, kind)
    (town.plan / begun.connection_id).write_text(f"{AGAIN} {when} SIGKILL")
    let_in(town)
    ask(town, begun)
    ends_well(town, begun)
    assert (town.plan / begun.connection_id).with_suffix(".fired").exists(), "the kill happened"

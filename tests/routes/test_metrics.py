"""Counters for operators: to a bearer of the token only."""

from __future__ import annotations

from dataclasses import replace

from portal import parts as parts_module
from portal.parts import parts
from portal.workflows import counters
from tests.world import World


def set_up(world: World, **changes: object) -> None:
    settings = replace(parts().settings, **changes)  # type: ignore[arg-type]
    parts_module.install(world.app, replace(parts(), settings=settings))


def test_it_works(world: World) -> None:
    set_up(world, metrics_token="open-sesame")
    counters.add("late_notifications", 3)
    answer = world.visitor().client.get("/metrics", headers={"Authorization": "Bearer open-sesame"})
    assert answer.status_code == 200
    assert "coordinoter_late_notifications_total 3" in answer.text
    assert "coordinoter_tokens_disposed_total 0" in answer.text


def test_a_wrong_token_finds_nothing(world: World) -> None:
    set_up(world, metrics_token="open-sesame")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
        assert world.visitor().client.get("/metrics", headers=headers).status_code == 404


def test_without_a_token_there_are_none(world: World) -> None:
    set_up(world, metrics_token="", demo=False)
    host = parts().settings.base_url.removeprefix("http://")
    assert world.visitor().client.get("/metrics", headers={"Host": host}).status_code == 404

"""Cassettes of the token endpoint and of Graph, recorded through the provider and replayed without any network."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.cassettes import GRAPH, LOGIN, USER_AGENT, cassette
from tests.providers.genuine import CLIENT_ID, CLIENT_SECRET, NOW
from tests.providers.record import sandbox_stage
from tests.providers.scenes import SCENES, Stage, sign_in

RECORD = os.environ.get("RECORD") == "1"


def play(scene: Callable[[Stage], None]) -> None:
    """Replay a scene; nothing listens at the addresses it names."""
    with cassette(scene.__name__) as adapter:
        provider = OutlookProvider(
            LOGIN, GRAPH, "common", CLIENT_ID, CLIENT_SECRET, 1, USER_AGENT, now=lambda: NOW, adapter=adapter
        )
        scene(Stage(provider))


def test_it_works() -> None:
    if RECORD:
        for scene in SCENES:
            with sandbox_stage(scene.__name__) as stage:
                scene(stage)
    play(sign_in)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_the_provider_plays_its_part(scene: Callable[[Stage], None]) -> None:
    play(scene)

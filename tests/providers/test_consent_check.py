"""Finding out later, in the person's own browser and without any token of ours, whether consent still stands."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from portal.providers.base import ConsentFinding
from portal.providers.outlook.outlook import OutlookProvider
from tests.providers.fake import Fake
from tests.providers.genuine import REDIRECT


def test_it_works(provider: OutlookProvider, fake: Fake) -> None:
    asked = parse_qs(urlsplit(provider.begin_consent_check(REDIRECT).url).query)
    assert asked["prompt"] == ["none"] and asked["code_challenge_method"] == ["S256"]
    assert provider.read_consent_check({"code": "c", "state": "s"}) is ConsentFinding.STILL_THERE
    assert [call.method for call in fake.asked] == ["GET"], "discovery alone: a code that comes back is never redeemed"


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        ({"error": "consent_required"}, ConsentFinding.WITHDRAWN),
        ({"error": "interaction_required", "suberror": "consent_required"}, ConsentFinding.WITHDRAWN),
        ({"error": "access_denied", "error_uri": "https://x.example/error?code=65001"}, ConsentFinding.WITHDRAWN),
        ({"error": "interaction_required"}, ConsentFinding.UNKNOWN),
        ({"error": "login_required"}, ConsentFinding.UNKNOWN),
        ({"error": "server_error"}, ConsentFinding.UNKNOWN),
        ({"error": "login_required", "code": "c"}, ConsentFinding.UNKNOWN),
        ({}, ConsentFinding.UNKNOWN),
        ({"error": "x", "error_uri": "https://[half"}, ConsentFinding.UNKNOWN),
    ],
)
def test_only_a_plain_word_counts(provider: OutlookProvider, answer: dict[str, str], finding: ConsentFinding) -> None:
    assert provider.read_consent_check(answer) is finding

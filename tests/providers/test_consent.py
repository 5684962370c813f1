"""Where consent is withdrawn by hand, and the registry that hands out the provider."""

from __future__ import annotations

import pytest

from portal import providers
from portal.providers.base import AccountKind, ConsentPage, Provider
from portal.providers.outlook.consent import consent_page
from portal.providers.outlook.outlook import OutlookProvider


def test_it_works() -> None:
    made = providers.make(
        authority="https://login.microsoftonline.com",
        graph_url="https://graph.microsoft.com",
        tenant="common",
        client_id="c",
        client_secret="s",
        timeout=15,
        base_url="https://portal.example.com",
    )
    outlook: Provider = made["outlook-calendar"]
    assert isinstance(outlook, OutlookProvider) and outlook.key == "outlook-calendar"
    assert outlook.consent_page(AccountKind.WORK) == ConsentPage("https://myapps.microsoft.com", "you", "My Apps")
    assert outlook.consent_page(AccountKind.PERSONAL).url == "https://account.live.com/consent/Manage"
    assert providers.user_agent("https://portal.example.com") == "Coordinoter/0.1.0 (+https://portal.example.com)"


@pytest.mark.parametrize(
    "authority",
    [
        "https://login.microsoftonline.us",
        "https://login.partner.microsoftonline.cn",
        "https://login.chinacloudapi.cn",
    ],
)
def test_national_clouds_are_microsofts(authority: str) -> None:
    assert consent_page(authority, AccountKind.WORK).url == "https://myapps.microsoft.com"


def test_an_authority_laid_out_like_microsofts_has_the_pages_under_itself() -> None:
    assert consent_page("http://127.0.0.1:8001", AccountKind.WORK).url == "http://127.0.0.1:8001/myapps"
    assert consent_page("http://127.0.0.1:8001", AccountKind.PERSONAL).url == "http://127.0.0.1:8001/consent/Manage"

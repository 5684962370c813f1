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
    ("authority", "my_apps", "center"),
    [
        ("https://login.microsoftonline.com", "https://myapps.microsoft.com", "https://entra.microsoft.com"),
        ("https://login.microsoftonline.us", "https://myapps.microsoft.us", "https://entra.microsoft.us"),
        (
            "https://login.partner.microsoftonline.cn",
            "https://myapps.windowsazure.cn",
            "https://entra.microsoftonline.cn",
        ),
        ("https://login.chinacloudapi.cn", "https://myapps.windowsazure.cn", "https://entra.microsoftonline.cn"),
    ],
)
def test_each_cloud_has_pages_of_its_own(authority: str, my_apps: str, center: str) -> None:
    assert consent_page(authority, AccountKind.WORK).url == my_apps
    everybody = consent_page(authority, AccountKind.WORK, tenant_wide=True)
    assert everybody == ConsentPage(center, "admin", "Entra admin center")
    assert consent_page(authority, AccountKind.PERSONAL).url == "https://account.live.com/consent/Manage"


def test_an_authority_laid_out_like_microsofts_has_the_pages_under_itself() -> None:
    assert consent_page("http://127.0.0.1:8001", AccountKind.WORK).url == "http://127.0.0.1:8001/myapps"
    assert consent_page("http://127.0.0.1:8001", AccountKind.PERSONAL).url == "http://127.0.0.1:8001/consent/Manage"

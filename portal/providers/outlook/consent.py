"""Where a person withdraws their consent by hand. Microsoft offers an app no call for it.

Work: https://support.microsoft.com/account-billing/169be2b4-ee26-4338-aea8-d19bb2f329ee
Personal: https://learn.microsoft.com/onedrive/developer/rest-api/getting-started/msa-oauth#revoking-access
"""

from __future__ import annotations

from urllib.parse import urlsplit

from portal.providers.base import AccountKind, ConsentPage

CLOUDS = {
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
}
"""Microsoft's sign-in hosts: https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud"""


def consent_page(authority: str, kind: AccountKind) -> ConsentPage:
    """The page for this kind of account. An authority that is none of Microsoft's has both pages under itself."""
    at_microsoft = urlsplit(authority).hostname in CLOUDS
    if kind is AccountKind.PERSONAL:
        url = "https://account.live.com/consent/Manage" if at_microsoft else f"{authority}/consent/Manage"
        return ConsentPage(url, "you", "Apps and services you've given access")
    return ConsentPage("https://myapps.microsoft.com" if at_microsoft else f"{authority}/myapps", "you", "My Apps")

"""Where a person withdraws their consent by hand. Microsoft offers an app no call for it.

Work: https://support.microsoft.com/account-billing/169be2b4-ee26-4338-aea8-d19bb2f329ee
Personal: https://learn.microsoft.com/onedrive/developer/rest-api/getting-started/msa-oauth#revoking-access
"""

from __future__ import annotations

from urllib.parse import urlsplit

from portal.providers.base import AccountKind, ConsentPage

CHINA = ("https://myapps.windowsazure.cn", "https://entra.microsoftonline.cn")
CLOUDS = {
    "login.microsoftonline.com": ("https://myapps.microsoft.com", "https://entra.microsoft.com"),
    "login.microsoftonline.us": ("https://myapps.microsoft.us", "https://entra.microsoft.us"),
    "login.partner.microsoftonline.cn": CHINA,
    "login.chinacloudapi.cn": CHINA,
}
"""Microsoft's sign-in hosts, with My Apps and the admin center of each cloud.

https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud
"""


def consent_page(authority: str, kind: AccountKind, *, tenant_wide: bool = False) -> ConsentPage:
    """The page for this kind of account; for a consent given for everybody, the administrator's.

    An authority that is none of Microsoft's has all pages under itself.
    """
    host = urlsplit(authority).hostname or ""
    if kind is AccountKind.PERSONAL:
        url = "https://account.live.com/consent/Manage" if host in CLOUDS else f"{authority}/consent/Manage"
        return ConsentPage(url, "you", "Apps and services you've given access")
    my_apps, center = CLOUDS.get(host, (f"{authority}/myapps", f"{authority}/myapps"))
    if tenant_wide:
        return ConsentPage(center, "admin", "Entra admin center")
    return ConsentPage(my_apps, "you", "My Apps")

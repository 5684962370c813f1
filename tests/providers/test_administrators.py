"""What is handed to an administrator names our registration in its cloud, and no account."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from portal.providers.outlook.administrators import handover

CALLBACK = "https://portal.example.com/integrations/outlook-calendar/callback"


def test_it_works() -> None:
    given = handover("https://login.microsoftonline.com", "https://graph.microsoft.com", "common", "app-1", CALLBACK)
    approve = urlsplit(given.approve)
    assert (approve.netloc, approve.path) == ("login.microsoftonline.com", "/organizations/v2.0/adminconsent")
    assert parse_qs(approve.query) == {
        "client_id": ["app-1"],
        "scope": ["openid profile offline_access User.Read Calendars.ReadWrite"],
        "redirect_uri": [CALLBACK],
    }
    assert "New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id" in given.allow
    assert "appId eq 'app-1'" in given.powershell
    assert "Remove-MgOauth2PermissionGrant" in given.powershell
    assert "Update-MgOauth2PermissionGrant" in given.powershell
    assert "-Environment" not in given.powershell
    assert "DELETE https://graph.microsoft.com/v1.0/oauth2PermissionGrants/GRANT-ID" in given.requests
    assert '{"scope": "openid profile"}' in given.requests
    assert "Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id" in given.undo


def test_a_registration_of_one_tenant_is_approved_there() -> None:
    given = handover("https://login.microsoftonline.com", "https://graph.microsoft.com", "a-tenant", "app-1", CALLBACK)
    assert urlsplit(given.approve).path == "/a-tenant/v2.0/adminconsent"


@pytest.mark.parametrize(
    ("graph", "name"),
    [
        ("https://graph.microsoft.us", "USGov"),
        ("https://dod-graph.microsoft.us", "USGovDoD"),
        ("https://microsoftgraph.chinacloudapi.cn", "China"),
    ],
)
def test_each_cloud_has_a_name_in_powershell(graph: str, name: str) -> None:
    given = handover("https://login.microsoftonline.us", graph, "common", "app-1", CALLBACK)
    for lines in (given.powershell, given.allow, given.undo):
        assert lines.startswith(f"Connect-MgGraph -Environment {name} ")
    assert f"GET {graph}/v1.0/" in given.requests

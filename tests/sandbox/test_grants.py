"""Consents through Graph: seen and deleted only where the permission is held."""

from __future__ import annotations

import pytest

from portal.sandbox.ids import GRAPH_APP

from .conftest import SCOPE, Browser, Desk, Graph

ADMIN_SCOPE = "openid Directory.Read.All DelegatedPermissionGrant.ReadWrite.All Application.ReadWrite.All"


@pytest.fixture
def admin(browser: Browser) -> Graph:
    """Contoso's administrator, with a token of every permission this takes."""
    other = Browser(browser.url, browser.config)
    return Graph(browser.url, other.connect("admin@contoso.example", scope=ADMIN_SCOPE)["access_token"])


def application(browser: Browser, desk: Desk, *roles: str, tenant: str = "contoso.example") -> Graph:
    """The application itself, with roles its administrator assigned."""
    desk("PATCH", f"tenants/{tenant}/applications/{browser.config.client_id}", app_roles=list(roles))
    told = browser.token(tenant, grant_type="client_credentials", scope="https://graph.microsoft.com/.default")
    assert told.status_code == 200, told.text
    assert "refresh_token" not in told.json()
    return Graph(browser.url, told.json()["access_token"])


def test_it_works(browser: Browser, admin: Graph) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    client = browser.config.client_id
    found = admin.get("servicePrincipals", params={"$filter": f"appId eq '{client}'", "$select": "id,appId"})["value"]
    assert [set(row) for row in found] == [{"id", "appId"}]
    oid = "ade1e000-0000-4000-8000-000000000001"
    wanted = f"clientId eq '{found[0]['id']}' and principalId eq '{oid}' and consentType eq 'Principal'"
    grants = admin.get("oauth2PermissionGrants", params={"$filter": wanted})["value"]
    assert len(grants) == 1
    assert set(grants[0]["scope"].split()) == set(SCOPE.split())
    assert admin("DELETE", f"oauth2PermissionGrants/{grants[0]['id']}").status_code == 204
    assert browser.refresh(token).json()["error_codes"] == [65001]
    gone = admin("DELETE", f"oauth2PermissionGrants/{grants[0]['id']}")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "Request_ResourceNotFound")


def test_an_ordinary_token_may_not_look(graph: Graph, desk: Desk) -> None:
    key = desk.account("adele@contoso.example")["grants"][0]["id"]
    for method, path in (
        ("GET", "oauth2PermissionGrants"),
        ("GET", "me/oauth2PermissionGrants"),
        ("GET", "servicePrincipals"),
        ("DELETE", f"oauth2PermissionGrants/{key}"),
        ("POST", "me/revokeSignInSessions"),
    ):
        answer = graph(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Authorization_RequestDenied")


def test_the_permission_without_a_role_is_not_enough(browser: Browser, desk: Desk) -> None:
    desk("POST", "accounts/adele@contoso.example/consent", scopes=["DelegatedPermissionGrant.ReadWrite.All"])
    graph = Graph(browser.url, browser.connect("adele@contoso.example")["access_token"])
    key = desk.account("adele@contoso.example")["grants"][0]["id"]
    assert graph("GET", "oauth2PermissionGrants").status_code == 200
    assert graph("DELETE", f"oauth2PermissionGrants/{key}").status_code == 403


def test_ones_own_list_does_not_show_the_tenant_wide_grant(browser: Browser, desk: Desk) -> None:
    desk("POST", "accounts/adele@contoso.example/consent", scopes=["Directory.Read.All"], tenant_wide=True)
    graph = Graph(browser.url, browser.connect("adele@contoso.example")["access_token"])
    assert {row["consentType"] for row in graph.get("oauth2PermissionGrants")["value"]} == {
        "AllPrincipals",
        "Principal",
    }
    assert [row["consentType"] for row in graph.get("me/oauth2PermissionGrants")["value"]] == ["Principal"]


def test_a_grant_can_be_shrunk(browser: Browser, admin: Graph, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    key = desk.account("adele@contoso.example")["grants"][0]["id"]
    less = {"scope": "User.Read openid profile email offline_access"}
    assert admin("PATCH", f"oauth2PermissionGrants/{key}", json=less).status_code == 204
    assert browser.refresh(token).json()["error_codes"] == [65001]
    assert "Calendars" not in browser.refresh(token, scope="User.Read").json()["scope"]


def test_a_grant_can_be_made(browser: Browser, admin: Graph) -> None:
    principal = admin.get("servicePrincipals", params={"$filter": f"appId eq '{browser.config.client_id}'"})["value"][0]
    body = {
        "clientId": principal["id"],
        "consentType": "AllPrincipals",
        "principalId": None,
        "resourceId": admin.get("servicePrincipals", params={"$filter": f"appId eq '{GRAPH_APP}'"})["value"][0]["id"],
        "scope": SCOPE,
    }
    assert admin("POST", "oauth2PermissionGrants", json=body).status_code == 201
    assert admin("POST", "oauth2PermissionGrants", json=body).status_code == 409
    nowhere = admin(
        "POST", "oauth2PermissionGrants", json={**body, "resourceId": "00000000-0000-4000-8000-000000000000"}
    )
    assert (nowhere.status_code, nowhere.json()["error"]["code"]) == (400, "Request_BadRequest")
    assert "code" in browser.authorize().press("adele@contoso.example").returned


def test_a_second_resource_is_a_second_grant(browser: Browser, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    desk("POST", "accounts/adele@contoso.example/consent", scopes=SCOPE, resource="exchange")
    allowed = application(browser, desk, "DelegatedPermissionGrant.ReadWrite.All")
    first, second = allowed.get("oauth2PermissionGrants")["value"]
    assert first["resourceId"] != second["resourceId"]
    assert {each: first[each] == second[each] for each in ("clientId", "principalId")} == {
        "clientId": True,
        "principalId": True,
    }
    assert allowed("DELETE", f"oauth2PermissionGrants/{first['id']}").status_code == 204
    assert [each["resource"] for each in desk.account("adele@contoso.example")["grants"]] == ["exchange"]
    assert browser.refresh(token).json()["error_codes"] == [65001], "what is left says nothing about Graph"


def test_the_application_itself_can_delete_a_grant_once_an_admin_allowed_it(browser: Browser, desk: Desk) -> None:
    browser.connect("adele@contoso.example")
    key = desk.account("adele@contoso.example")["grants"][0]["id"]
    assert application(browser, desk)("DELETE", f"oauth2PermissionGrants/{key}").status_code == 403
    allowed = application(browser, desk, "DelegatedPermissionGrant.ReadWrite.All")
    assert allowed("DELETE", f"oauth2PermissionGrants/{key}").status_code == 204
    assert desk.account("adele@contoso.example")["grants"] == []
    assert allowed("GET", "me").status_code == 400


def test_another_directory_is_out_of_reach(browser: Browser, desk: Desk) -> None:
    browser.connect("adele@contoso.example")
    key = desk.account("adele@contoso.example")["grants"][0]["id"]
    stranger = application(browser, desk, "DelegatedPermissionGrant.ReadWrite.All", tenant="wingtip.example")
    assert stranger("DELETE", f"oauth2PermissionGrants/{key}").status_code == 404


def test_an_application_must_be_in_the_directory(browser: Browser) -> None:
    told = browser.token(
        "contoso.example", grant_type="client_credentials", scope="https://graph.microsoft.com/.default"
    )
    assert told.json()["error_codes"] == [7000229]
    told = browser.token("common", grant_type="client_credentials", scope="https://graph.microsoft.com/.default")
    assert told.status_code == 400
    told = browser.token("contoso.example", grant_type="client_credentials", scope="User.Read")
    assert told.json()["error_codes"] == [70011]


def test_switching_the_service_principal_off_and_deleting_it(browser: Browser, admin: Graph, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    key = admin.get("servicePrincipals", params={"$filter": f"appId eq '{browser.config.client_id}'"})["value"][0]["id"]
    assert admin("PATCH", f"servicePrincipals/{key}", json={"accountEnabled": False}).status_code == 204
    assert browser.refresh(token).json()["error_codes"] == [7000112]
    assert admin("DELETE", f"servicePrincipals/{key}").status_code == 204
    assert browser.refresh(token).json()["error_codes"] == [700016]
    assert desk.account("adele@contoso.example")["grants"] == []


def test_all_sign_ins_can_be_revoked(browser: Browser, desk: Desk) -> None:
    desk("POST", "accounts/adele@contoso.example/consent", scopes=["User.RevokeSessions.All"])
    told = browser.connect("adele@contoso.example")
    answer = Graph(browser.url, told["access_token"])("POST", "me/revokeSignInSessions")
    assert answer.status_code == 200 and answer.json()["value"] is True
    assert browser.refresh(told["refresh_token"]).json()["error_codes"] == [50173]
    assert browser.authorize(prompt="none").returned["error"] == "login_required"
    assert len(desk.account("adele@contoso.example")["grants"]) == 1

"""What only an administrator can do at Microsoft, as links and lines that are ready to be handed over.

https://learn.microsoft.com/entra/identity-platform/v2-admin-consent
https://learn.microsoft.com/powershell/module/microsoft.graph.identity.signins/remove-mgoauth2permissiongrant
https://learn.microsoft.com/graph/api/oauth2permissiongrant-delete
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from portal.providers.base import Handover
from portal.providers.outlook.tokens import SCOPES

ENVIRONMENTS = {
    "https://graph.microsoft.us": "USGov",
    "https://dod-graph.microsoft.us": "USGovDoD",
    "https://microsoftgraph.chinacloudapi.cn": "China",
}
"""Names that Connect-MgGraph has for the clouds: https://learn.microsoft.com/powershell/microsoftgraph/authentication-commands"""

CONNECT = """\
Connect-MgGraph{environment} -Scopes DelegatedPermissionGrant.ReadWrite.All, Application.Read.All, User.ReadBasic.All
$app = Get-MgServicePrincipal -Filter "appId eq '{client_id}'"
"""

WITHDRAW = """
# What one person allowed:
$person = Get-MgUser -UserId "PERSON@YOUR-ORGANISATION"
Get-MgOauth2PermissionGrant -All -Filter "clientId eq '$($app.Id)' and principalId eq '$($person.Id)'" |
  ForEach-Object { Remove-MgOauth2PermissionGrant -OAuth2PermissionGrantId $_.Id }

# What was approved for everyone. Removing it ends Coordinoter for your whole organisation:
$everyone = Get-MgOauth2PermissionGrant -All -Filter "clientId eq '$($app.Id)' and consentType eq 'AllPrincipals'"
$everyone | ForEach-Object { Remove-MgOauth2PermissionGrant -OAuth2PermissionGrantId $_.Id }

# Or take only the calendars out of it:
$everyone | ForEach-Object { Update-MgOauth2PermissionGrant -OAuth2PermissionGrantId $_.Id -Scope "openid profile" }
"""

REQUESTS = """\
GET {graph}/v1.0/servicePrincipals(appId='{client_id}')?$select=id
GET {graph}/v1.0/oauth2PermissionGrants?$filter=clientId eq 'ID-FROM-ABOVE'

# consentType "Principal", the person's principalId: what one person allowed.
# consentType "AllPrincipals": what was approved for everyone.
DELETE {graph}/v1.0/oauth2PermissionGrants/GRANT-ID

# Or take only the calendars out of it:
PATCH {graph}/v1.0/oauth2PermissionGrants/GRANT-ID
Content-Type: application/json

{{"scope": "openid profile"}}
"""

ALLOW = """\
Connect-MgGraph{environment} -Scopes AppRoleAssignment.ReadWrite.All, Application.Read.All
$app = Get-MgServicePrincipal -Filter "appId eq '{client_id}'"
$graph = Get-MgServicePrincipal -Filter "appId eq '00000003-0000-0000-c000-000000000000'"
$right = $graph.AppRoles | Where-Object Value -eq "DelegatedPermissionGrant.ReadWrite.All"
New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id -PrincipalId $app.Id -ResourceId $graph.Id `
  -AppRoleId $right.Id
"""
"""Only the one right. Consent by Microsoft's page would also approve the app for everyone.

https://learn.microsoft.com/graph/permissions-grant-via-msgraph
"""

UNDO = """\
Connect-MgGraph{environment} -Scopes AppRoleAssignment.ReadWrite.All, Application.Read.All
$app = Get-MgServicePrincipal -Filter "appId eq '{client_id}'"
Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id | ForEach-Object {{
  Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id -AppRoleAssignmentId $_.Id
}}
"""


def handover(authority: str, graph_url: str, tenant: str, client_id: str, redirect_uri: str) -> Handover:
    """Everything for this registration in this cloud. What we must not know any more is a word in capitals."""
    cloud = ENVIRONMENTS.get(graph_url, "")
    known = {
        "environment": f" -Environment {cloud}" if cloud else "",
        "client_id": client_id,
        "graph": graph_url,
    }
    # A registration of one tenant only is approved in that tenant; Microsoft refuses it elsewhere (AADSTS50194).
    audience = "organizations" if tenant in {"common", "consumers", "organizations"} else tenant
    asked = {"client_id": client_id, "scope": " ".join(SCOPES), "redirect_uri": redirect_uri}
    return Handover(
        approve=f"{authority}/{audience}/v2.0/adminconsent?{urlencode(asked, quote_via=quote)}",
        powershell=CONNECT.format(**known) + WITHDRAW,
        requests=REQUESTS.format(**known),
        allow=ALLOW.format(**known),
        undo=UNDO.format(**known),
    )

"""What clients read before anything else: metadata, keys, and the directory of clouds."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Response, current_app, jsonify, request

from ..context import graph_origin, login_origin, storage
from ..ids import CONSUMERS
from .keys import KeyRing
from .tenants import check

blueprint = Blueprint("discovery", __name__)


def keys() -> KeyRing:
    ring: KeyRing = current_app.extensions["sandbox"]["keys"]
    return ring


def issuer(segment: str) -> str:
    """The issuer of an authority; the shared ones have a template in it, braces included."""
    return f"{login_origin()}/{'{tenantid}' if segment in {'common', 'organizations'} else segment}/v2.0"


@blueprint.get("/<tenant>/v2.0/.well-known/openid-configuration")
def metadata(tenant: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc

    As there, no introspection or registration endpoint and no list of PKCE methods, and no revocation unless the desk
    ordered it. Leaves out `mtls_endpoint_aliases`.
    """
    segment = check(storage(), tenant)
    at = f"{login_origin()}/{tenant}"
    graph = graph_origin()
    own = storage().tenants.get(segment)
    document: dict[str, Any] = {
        "token_endpoint": f"{at}/oauth2/v2.0/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{at}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer(segment),
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"{graph}/oidc/userinfo",
        "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
        "device_authorization_endpoint": f"{at}/oauth2/v2.0/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{at}/oauth2/v2.0/logout",
        "claims_supported": [
            "sub",
            "iss",
            "cloud_instance_name",
            "cloud_instance_host_name",
            "cloud_graph_host_name",
            "msgraph_host",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "acr",
            "nonce",
            "preferred_username",
            "name",
            "tid",
            "ver",
            "at_hash",
            "c_hash",
            "email",
        ],
        "kerberos_endpoint": f"{at}/kerberos",
        "tenant_region_scope": (own.region or None) if own else None,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": urlsplit(graph).netloc,
        "rbac_url": "https://pas.windows.net",
    }
    if storage().offers_revocation:
        document["revocation_endpoint"] = f"{at}/oauth2/v2.0/revoke"
    return _public(document)


@blueprint.get("/<tenant>/discovery/v2.0/keys")
def jwks(tenant: str) -> Response:
    """https://learn.microsoft.com/entra/identity-platform/signing-key-rollover

    Each key carries the issuer it may sign for: the template for organisations, the GUID itself for personal accounts.
    """
    segment = check(storage(), tenant)
    personal = None if segment == "common" else segment == CONSUMERS
    return _public({"keys": keys().published(login_origin(), personal)})


@blueprint.get("/<tenant>/discovery/instance")
def instance(tenant: str) -> Response:
    """The directory of clouds that Microsoft's libraries ask before they trust an authority.

    Undocumented; the shape is the one that
    https://github.com/AzureAD/microsoft-authentication-library-for-python reads. Names this host alone.
    """
    asked = request.args.get("authorization_endpoint", "")
    segment = check(storage(), next(iter([part for part in urlsplit(asked).path.split("/") if part]), tenant))
    shown = "consumers" if segment == CONSUMERS else segment
    host = urlsplit(login_origin()).netloc
    return _public(
        {
            "tenant_discovery_endpoint": f"{login_origin()}/{shown}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }
    )


def _public(document: dict[str, Any]) -> Response:
    answer = jsonify(document)
    answer.headers["Cache-Control"] = "max-age=86400, private"
    answer.headers["Access-Control-Allow-Origin"] = "*"
    answer.content_type = "application/json; charset=utf-8"
    return answer

"""Metadata, signing keys and their rollover, the hybrid flow, client certificates, logout."""

from __future__ import annotations

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, RSAKey

from .conftest import CALLBACK, Browser, Desk, claims

ORGANIZATION = "11111111-2222-4333-8444-555555555555"
CONSUMERS = "9188040d-6c67-4c5b-b112-36a304b66dad"


def metadata(browser: Browser, tenant: str = "common") -> Any:
    return requests.get(f"{browser.url}/{tenant}/v2.0/.well-known/openid-configuration", timeout=30).json()


def keys(browser: Browser, tenant: str = "common") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = requests.get(metadata(browser, tenant)["jwks_uri"], timeout=30).json()["keys"]
    return found


def test_it_works(browser: Browser) -> None:
    told = metadata(browser)
    at = f"{browser.url}/common"
    assert told["issuer"] == f"{browser.url}/{{tenantid}}/v2.0"
    assert told["authorization_endpoint"] == f"{at}/oauth2/v2.0/authorize"
    assert told["token_endpoint"] == f"{at}/oauth2/v2.0/token"
    assert told["end_session_endpoint"] == f"{at}/oauth2/v2.0/logout"
    assert told["jwks_uri"] == f"{at}/discovery/v2.0/keys"
    assert told["userinfo_endpoint"] == f"{browser.url}/oidc/userinfo"
    assert told["token_endpoint_auth_methods_supported"] == [
        "client_secret_post",
        "private_key_jwt",
        "client_secret_basic",
    ]
    assert told["response_modes_supported"] == ["query", "fragment", "form_post"]
    assert told["subject_types_supported"] == ["pairwise"]
    assert told["id_token_signing_alg_values_supported"] == ["RS256"]
    assert told["request_uri_parameter_supported"] is False
    assert told["tenant_region_scope"] is None
    assert told["msgraph_host"] == urlsplit(browser.url).netloc


@pytest.mark.parametrize(
    "absent",
    [
        "revocation_endpoint",
        "introspection_endpoint",
        "registration_endpoint",
        "backchannel_logout_supported",
        "grant_types_supported",
        "code_challenge_methods_supported",
    ],
)
def test_what_microsoft_does_not_announce_is_not_announced(browser: Browser, absent: str) -> None:
    assert absent not in metadata(browser)


@pytest.mark.parametrize(
    ("tenant", "issuer"),
    [
        ("organizations", "{tenantid}"),
        ("consumers", CONSUMERS),
        (CONSUMERS, CONSUMERS),
        ("contoso.example", ORGANIZATION),
        (ORGANIZATION, ORGANIZATION),
    ],
)
def test_the_issuer_follows_the_authority(browser: Browser, tenant: str, issuer: str) -> None:
    told = metadata(browser, tenant)
    assert told["issuer"] == f"{browser.url}/{issuer}/v2.0"
    assert told["token_endpoint"] == f"{browser.url}/{tenant}/oauth2/v2.0/token"


def test_each_key_names_the_issuer_it_may_sign_for(browser: Browser) -> None:
    issuers = {key["issuer"] for key in keys(browser)}
    assert issuers == {f"{browser.url}/{{tenantid}}/v2.0", f"{browser.url}/{CONSUMERS}/v2.0"}
    for address, issuer in (("adele@contoso.example", "{tenantid}"), ("megan@outlook.example", CONSUMERS)):
        token = browser.connect(address, prompt="select_account")["id_token"]
        kid = jwt.decode(token, KeySet.import_key_set({"keys": keys(browser)}), algorithms=["RS256"]).header["kid"]
        signer = next(key for key in keys(browser) if key["kid"] == kid)
        assert signer["issuer"] == f"{browser.url}/{issuer}/v2.0"


def test_keys_roll_and_the_old_ones_stay_for_a_while(browser: Browser, desk: Desk) -> None:
    old = browser.connect("adele@contoso.example")["id_token"]
    before = {key["kid"] for key in keys(browser)}
    desk("POST", "keys/roll")
    after = {key["kid"] for key in keys(browser)}
    assert before < after
    new = browser.connect("adele@contoso.example")["id_token"]
    known = KeySet.import_key_set({"keys": keys(browser)})
    assert jwt.decode(old, known).header["kid"] in before
    assert jwt.decode(new, known).header["kid"] not in before
    desk("POST", "keys/roll", forget=True)
    assert not before & {key["kid"] for key in keys(browser)}


def test_an_access_token_cannot_be_verified_by_its_client(browser: Browser) -> None:
    token = browser.connect("adele@contoso.example")["access_token"]
    lenient = jws.JWSRegistry(strict_check_header=False)
    with pytest.raises(BadSignatureError):
        jws.deserialize_compact(token, KeySet.import_key_set({"keys": keys(browser)}), registry=lenient)


def test_the_hybrid_flow_binds_code_and_id_token(browser: Browser, desk: Desk) -> None:
    page = browser.authorize(response_type="code id_token").press("adele@contoso.example").press("Accept")
    assert "#" in page.answer.headers["Location"]
    told = page.returned
    half = hashlib.sha256(told["code"].encode()).digest()[:16]
    assert claims(told["id_token"])["c_hash"] == base64.urlsafe_b64encode(half).decode().rstrip("=")
    assert claims(told["id_token"])["nonce"] == "a nonce"
    desk("PATCH", f"applications/{browser.config.client_id}", id_tokens=False)
    refused = browser.authorize(response_type="code id_token").returned
    assert refused["error_description"].startswith("AADSTS700054")


def certificate() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "coordinoter")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(30))
    return key, builder.sign(key, hashes.SHA256())


def assertion(browser: Browser, key: rsa.RSAPrivateKey, cert: x509.Certificate, **more: Any) -> str:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    now = int(time.time())
    body = {
        "aud": f"{browser.url}/common/oauth2/v2.0/token",
        "iss": browser.config.client_id,
        "sub": browser.config.client_id,
        "jti": "once",
        "nbf": now,
        "iat": now,
        "exp": now + 300,
        **more,
    }
    thumb = base64.urlsafe_b64encode(cert.fingerprint(hashes.SHA256())).decode().rstrip("=")
    return jwt.encode(
        {"alg": "PS256", "typ": "JWT", "x5t#S256": thumb},
        body,
        RSAKey.import_key(pem),
        algorithms=["PS256"],
    )


def with_assertion(browser: Browser, token: str) -> requests.Response:
    code = browser.authorize().press("adele@contoso.example")
    code = code.press("Accept") if "Accept" in code.buttons else code
    return requests.post(
        f"{browser.url}/common/oauth2/v2.0/token",
        data={
            "grant_type": "authorization_code",
            "client_id": browser.config.client_id,
            "code": code.returned["code"],
            "redirect_uri": CALLBACK,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": token,
        },
        timeout=30,
    )


def test_a_client_may_prove_itself_by_certificate(browser: Browser, desk: Desk) -> None:
    key, cert = certificate()
    assert with_assertion(browser, assertion(browser, key, cert)).json()["error_codes"] == [700027]
    pem = cert.public_bytes(serialization.Encoding.PEM).decode()
    desk("PATCH", f"applications/{browser.config.client_id}", certificates=[pem])
    browser.session.cookies.clear()
    told = with_assertion(browser, assertion(browser, key, cert))
    assert told.status_code == 200, told.text
    for wrong in ({"aud": "https://elsewhere.example/"}, {"sub": "other"}, {"exp": 1}):
        browser.session.cookies.clear()
        assert with_assertion(browser, assertion(browser, key, cert, **wrong)).status_code == 401
    browser.session.cookies.clear()
    other, _ = certificate()
    assert with_assertion(browser, assertion(browser, other, cert)).json()["error_codes"] == [700027]


def test_logout_ends_the_browser_session_and_calls_the_applications(browser: Browser, desk: Desk) -> None:
    token = browser.connect("adele@contoso.example")["refresh_token"]
    desk("PATCH", f"applications/{browser.config.client_id}", logout_url="https://app.example/signed-out")
    page = browser.send("get", "/common/oauth2/v2.0/logout")
    frame = page.soup.find("iframe")
    assert frame is not None and str(frame["src"]).startswith("https://app.example/signed-out?")
    assert browser.authorize(prompt="none").returned["error"] == "login_required"
    assert browser.refresh(token).status_code == 200


def test_logout_goes_on_only_to_a_registered_address(browser: Browser) -> None:
    at = "/common/oauth2/v2.0/logout?post_logout_redirect_uri="
    assert browser.send("get", at + CALLBACK + "&state=7").answer.headers["Location"] == CALLBACK + "?state=7"
    assert browser.send("get", at + "https://evil.example/").answer.status_code == 200


def test_the_directory_of_clouds_knows_this_host(browser: Browser) -> None:
    asked = f"{browser.url}/common/oauth2/v2.0/authorize"
    told = requests.get(
        f"{browser.url}/common/discovery/instance",
        params={"api-version": "1.1", "authorization_endpoint": asked},
        timeout=30,
    ).json()
    assert told["tenant_discovery_endpoint"].endswith("/common/v2.0/.well-known/openid-configuration")
    assert told["metadata"][0]["aliases"] == [urlsplit(browser.url).netloc]


def test_errors_can_be_looked_up(browser: Browser) -> None:
    uri = browser.redeem("nonsense", client_secret="wrong").json()["error_uri"]
    assert uri == f"{browser.url}/error?code=7000215"
    assert "secret is wrong" in browser.send("get", uri).text
    assert browser.send("get", "/error?code=nonsense").answer.status_code == 200
    assert browser.send("get", "/common/oauth2/nativeclient").answer.status_code == 200


def test_a_redirect_keeps_the_query_it_had(browser: Browser, desk: Desk) -> None:
    uri = "https://app.example/cb?from=here"
    desk("PATCH", f"applications/{browser.config.client_id}", redirect_uris=[uri])
    page = browser.authorize(redirect_uri=uri).press("adele@contoso.example").press("Accept")
    assert dict(parse_qsl(urlsplit(page.answer.headers["Location"]).query))["from"] == "here"

"""The authorization endpoint and its pages."""

from __future__ import annotations

import pytest

from .conftest import CALLBACK, Browser, Desk


def test_it_works(browser: Browser) -> None:
    page = browser.authorize()
    assert "SANDBOX" in page.text and "not Microsoft" in page.text
    page = page.press("adele@contoso.example")
    assert "adele@contoso.example" in page.text
    assert "Read and change your calendars" in page.text
    assert page.buttons[:2] == ["Accept", "Cancel"]
    page = page.press("Accept")
    assert page.answer.headers["Location"].startswith(CALLBACK + "?")
    assert page.returned["state"] == "a state"
    assert page.returned["code"]


def test_an_unknown_client_gets_a_page_and_no_redirect(browser: Browser) -> None:
    page = browser.authorize(client_id="99999999-0000-4000-8000-000000000000")
    assert page.answer.status_code == 400
    assert "AADSTS700016" in page.text
    assert "Location" not in page.answer.headers


@pytest.mark.parametrize("wrong", [CALLBACK + "/", CALLBACK.replace("8000", "8009"), "https://evil.example/", ""])
def test_a_redirect_uri_must_match_exactly(browser: Browser, wrong: str) -> None:
    page = browser.authorize(redirect_uri=wrong)
    assert page.answer.status_code == 400
    assert "AADSTS50011" in page.text
    assert "Location" not in page.answer.headers


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token token"}, "unsupported_response_type"),
        ({"response_type": "id_token", "nonce": ""}, "invalid_request"),
        ({"response_type": "id_token", "response_mode": "query"}, "unsupported_response_mode"),
        ({"response_type": ""}, "invalid_request"),
        ({"scope": ""}, "invalid_request"),
        ({"scope": "openid Calendars.Juggle"}, "invalid_scope"),
        ({"scope": "https://other.example/Thing.Read"}, "invalid_resource"),
        ({"prompt": "create"}, "invalid_request"),
        ({"response_mode": "smoke"}, "invalid_request"),
        ({"code_challenge": "x" * 43, "code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request"),
    ],
)
def test_other_mistakes_go_back_to_the_application(browser: Browser, change: dict[str, str], error: str) -> None:
    told = browser.authorize(**change).returned
    assert told["error"] == error
    assert told["error_description"].startswith("AADSTS")
    assert "Trace ID: " in told["error_description"] and "\r\n" in told["error_description"]
    assert told["state"] == "a state"


def test_cancel_sends_the_bare_pair(browser: Browser) -> None:
    told = browser.authorize().press("adele@contoso.example").press("Cancel").returned
    assert told == {"error": "access_denied", "error_subcode": "cancel", "state": "a state"}


def test_leaving_the_sign_in_page_sends_the_bare_pair(browser: Browser) -> None:
    told = browser.authorize().press("Back to Coordinoter").returned
    assert told == {"error": "access_denied", "error_subcode": "cancel", "state": "a state"}


def test_decline_says_so(browser: Browser) -> None:
    page = browser.authorize().press("adele@contoso.example")
    told = page.press("Decline, and tell Coordinoter that I declined").returned
    assert told["error"] == "access_denied"
    assert told["error_description"].startswith("AADSTS65004")


def test_consent_is_asked_once(browser: Browser) -> None:
    browser.connect("adele@contoso.example")
    assert "code" in browser.authorize(login_hint="adele@contoso.example").returned
    assert "Accept" in browser.authorize(prompt="consent", login_hint="adele@contoso.example").buttons


def test_a_signed_in_browser_goes_straight_through_unless_told_otherwise(browser: Browser) -> None:
    browser.connect("adele@contoso.example")
    assert "code" in browser.authorize().returned
    assert "adele@contoso.example" in browser.authorize(prompt="select_account").buttons
    assert "adele@contoso.example" in browser.authorize(prompt="login").buttons


def test_prompt_none_answers_without_a_page(browser: Browser) -> None:
    assert browser.authorize(prompt="none").returned["error"] == "login_required"
    browser.connect("adele@contoso.example")
    assert "code" in browser.authorize(prompt="none").returned
    more = browser.authorize(prompt="none", scope="openid Mail.Read").returned
    assert more["error"] == "consent_required"


def test_prompt_none_cannot_choose_between_two_accounts(browser: Browser) -> None:
    browser.connect("adele@contoso.example")
    browser.connect("megan@outlook.example", prompt="select_account")
    assert browser.authorize(prompt="none").returned["error"] == "interaction_required"
    assert "code" in browser.authorize(prompt="none", login_hint="megan@outlook.example").returned


@pytest.mark.parametrize(
    ("tenant", "offered", "missing"),
    [
        ("organizations", "adele@contoso.example", "megan@outlook.example"),
        ("consumers", "megan@outlook.example", "adele@contoso.example"),
        ("11111111-2222-4333-8444-555555555555", "adele@contoso.example", "ravi@wingtip.example"),
        ("contoso.example", "adele@contoso.example", "ravi@wingtip.example"),
    ],
)
def test_an_authority_offers_its_own_accounts(browser: Browser, tenant: str, offered: str, missing: str) -> None:
    page = browser.authorize(tenant)
    assert offered in page.buttons
    assert missing not in page.buttons
    refused = page.press("Next", address=missing)
    assert refused.answer.status_code == 422
    assert "cannot sign in here" in refused.text


def test_an_unknown_tenant_gets_a_page(browser: Browser) -> None:
    assert "AADSTS90002" in browser.authorize("nowhere.example").text


def test_domain_hint_narrows_the_choice(browser: Browser) -> None:
    assert "adele@contoso.example" not in browser.authorize(domain_hint="consumers").buttons
    assert "megan@outlook.example" not in browser.authorize(domain_hint="organizations").buttons
    assert "ravi@wingtip.example" not in browser.authorize(domain_hint="contoso.example").buttons


def test_another_account_can_be_typed(browser: Browser) -> None:
    page = browser.authorize().press("Next", address="nobody@contoso.example")
    assert page.answer.status_code == 422
    assert "no account" in page.text
    assert "Accept" in page.press("Next", address="Adele@Contoso.example").buttons


def test_the_answer_can_come_in_the_fragment(browser: Browser) -> None:
    page = browser.authorize(response_mode="fragment").press("adele@contoso.example").press("Accept")
    assert "#code=" in page.answer.headers["Location"]


def test_the_answer_can_come_as_a_form(browser: Browser) -> None:
    page = browser.authorize(response_mode="form_post").press("adele@contoso.example").press("Accept")
    form = page.soup.find(id="form-post")
    assert form is not None and form["action"] == CALLBACK
    names = {each["name"] for each in page.soup.find_all("input")}
    assert {"code", "state"} <= names
    assert "form-action" not in page.answer.headers["Content-Security-Policy"]


def test_the_tenant_that_wants_its_admin_shows_the_approval_page(browser: Browser) -> None:
    page = browser.authorize().press("ravi@wingtip.example")
    assert "Need admin approval" in page.text and "AADSTS90094" in page.text
    assert "Accept" not in page.buttons
    told = page.press("Return to the application without granting consent").returned
    assert told == {"error": "access_denied", "error_subcode": "cancel", "state": "a state"}


def test_nobody_can_accept_past_their_admin(browser: Browser) -> None:
    page = browser.authorize().press("ravi@wingtip.example")
    flow = page.soup.find("input", {"name": "flow"})
    assert flow is not None
    told = browser.send("post", "/common/consent", {"flow": str(flow["value"]), "answer": "accept"}).returned
    assert told["error"] == "access_denied"
    assert told["error_description"].startswith("AADSTS90094")


def test_the_admin_consents_for_everybody(browser: Browser, desk: Desk) -> None:
    page = browser.authorize().press("admin@wingtip.example")
    assert "code" in page.press("Accept", everybody="yes").returned
    assert [grant["tenant_wide"] for grant in desk.account("ravi@wingtip.example")["grants"]] == [True]
    assert "code" in browser.authorize(prompt="login").press("ravi@wingtip.example").returned


def test_a_disabled_person_cannot_sign_in(browser: Browser, desk: Desk) -> None:
    desk("PATCH", "accounts/adele@contoso.example", enabled=False)
    page = browser.authorize().press("adele@contoso.example")
    assert page.answer.status_code == 422
    assert "AADSTS50057" in page.text


def test_pages_have_a_strict_policy_and_no_inline_code(browser: Browser) -> None:
    page = browser.authorize()
    assert "default-src 'none'" in page.answer.headers["Content-Security-Policy"]
    assert "unsafe" not in page.answer.headers["Content-Security-Policy"]
    assert page.soup.find("style") is None
    assert not [tag for tag in page.soup.find_all(True) if tag.get("style") or tag.get("onclick")]

"""Going back to the application: with a code, or with an error, in the response mode it asked for."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import Response, make_response, redirect, render_template, request

from ..context import graph_origin, login_origin, now, storage
from ..ids import digest, new_id, new_secret
from ..records.identity import Code, Flow, Person
from .errors import EXPLAINED, IdentityError
from .keys import b64url
from .scopes import parse


def client_info(person: Person) -> str:
    """The home account id that MSAL asks for, as it expects it: base64url JSON of `uid` and `utid`."""
    return b64url(f'{{"uid":"{person.oid}","utid":"{person.tid}"}}'.encode())


def success(flow: Flow, person: Person, scopes: tuple[str, ...]) -> Response:
    """Send what `response_type` asks for: a code, an id_token (hybrid flow), or both."""
    params, told = flow.params, {}
    kinds = params["response_type"].split()
    if "code" in kinds:
        told["code"] = _new_code(flow, person, scopes)
    if "id_token" in kinds:
        from .issue import id_token

        granted = frozenset(scopes)
        told["id_token"] = id_token(
            person, params["client_id"], granted, params.get("nonce", ""), code=told.get("code", "")
        )
    if params.get("client_info") == "1":
        told["client_info"] = client_info(person)
    told["session_state"] = new_id()
    return _deliver(params, told)


def admin_consented(flow: Flow, tid: str, scopes: list[str]) -> Response:
    """An administrator consented for everybody: no code, only the news."""
    return _deliver(flow.params, {"admin_consent": "True", "tenant": tid, "scope": " ".join(scopes)})


def _new_code(flow: Flow, person: Person, scopes: tuple[str, ...]) -> str:
    """An authorization code: single use, ten minutes."""
    params = flow.params
    issued = new_secret("M.C507_BAY.2.U." if person.tid.startswith("9188") else "1.AXkA", 72)
    with storage().lock:
        storage().sweep()
        storage().codes[digest(issued)] = Code(
            client=params["client_id"],
            oid=person.oid,
            redirect_uri=params["redirect_uri"],
            scopes=scopes,
            issued=now(),
            qualified=parse(params["scope"], graph_origin()).qualified,
            nonce=params.get("nonce", ""),
            challenge=params.get("code_challenge", ""),
            challenge_method=params.get("code_challenge_method") or "plain",
            auth_time=flow.auth_time,
        )
    return issued


def error(params: dict[str, str], problem: IdentityError) -> Response:
    """An error that the application may hear of, because its redirect URI was checked before."""
    correlation = request.headers.get("client-request-id") or new_id()
    told = {"error": problem.error, "error_description": problem.description(now(), new_id(), correlation)}
    if problem.code in EXPLAINED:
        told["error_uri"] = f"{login_origin()}/error?code={problem.code}"
    return _deliver(params, told)


def cancelled(params: dict[str, str]) -> Response:
    """What pressing Cancel or Back sends: a pair without any description."""
    told = {"error": "access_denied", "error_subcode": "cancel"}
    if params.get("admin_consent"):
        told["admin_consent"] = "True"
    return _deliver(params, told)


def error_page(problem: IdentityError, status: int = 400) -> Response:
    """An error for the person alone: nothing is sent to an address that was not checked."""
    page = render_template("sandbox/error.html", problem=problem, now=now(), trace=new_id(), correlation=new_id())
    return make_response(page, status)


def _deliver(params: dict[str, str], told: dict[str, str]) -> Response:
    usual = "fragment" if "id_token" in params.get("response_type", "") else "query"
    target, mode = params["redirect_uri"], params.get("response_mode") or usual
    if "state" in params:
        told["state"] = params["state"]
    if mode == "form_post":
        return make_response(render_template("sandbox/form_post.html", target=target, fields=told))
    parts = urlsplit(target)
    if mode == "fragment":
        url = urlunsplit(parts._replace(fragment=urlencode(told)))
    else:
        url = urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(told))))))
    answer = make_response(redirect(url, 302))
    answer.headers["Cache-Control"] = "no-store"
    return answer

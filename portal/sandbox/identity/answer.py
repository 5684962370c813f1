"""Going back to the application: with a code, or with an error, in the response mode it asked for."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

from flask import Response, make_response, redirect, render_template, request

from ..context import login_origin, now, storage
from ..storage import Code, Flow, Person, digest, new_id, new_secret
from .errors import EXPLAINED, IdentityError
from .keys import b64url


def client_info(person: Person) -> str:
    """The home account id that MSAL asks for, as it expects it: base64url JSON of `uid` and `utid`."""
    return b64url(f'{{"uid":"{person.oid}","utid":"{person.tid}"}}'.encode())


def code(flow: Flow, person: Person, scopes: tuple[str, ...]) -> Response:
    """Issue an authorization code: single use, ten minutes."""
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
            nonce=params.get("nonce", ""),
            challenge=params.get("code_challenge", ""),
            challenge_method=params.get("code_challenge_method") or "plain",
            auth_time=flow.auth_time,
        )
    told = {"code": issued}
    if params.get("client_info") == "1":
        told["client_info"] = client_info(person)
    told["session_state"] = new_id()
    return _deliver(params, told)


def error(params: dict[str, str], problem: IdentityError) -> Response:
    """An error that the application may hear of, because its redirect URI was checked before."""
    correlation = request.headers.get("client-request-id") or new_id()
    told = {"error": problem.error, "error_description": problem.description(now(), new_id(), correlation)}
    if problem.code in EXPLAINED:
        told["error_uri"] = f"{login_origin()}/error?code={problem.code}"
    return _deliver(params, told)


def cancelled(params: dict[str, str]) -> Response:
    """What pressing Cancel or Back sends: a pair without any description."""
    return _deliver(params, {"error": "access_denied", "error_subcode": "cancel"})


def error_page(problem: IdentityError, status: int = 400) -> Response:
    """An error for the person alone: nothing is sent to an address that was not checked."""
    page = render_template("sandbox/error.html", problem=problem, now=now(), trace=new_id(), correlation=new_id())
    return make_response(page, status)


def _deliver(params: dict[str, str], told: dict[str, str]) -> Response:
    target, mode = params["redirect_uri"], params.get("response_mode") or "query"
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

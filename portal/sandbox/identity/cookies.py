"""The browser's session with Microsoft. Its name differs from the portal's, because cookies ignore ports."""

from __future__ import annotations

from flask import Response, request

from ..context import login_origin, now, storage
from ..ids import digest, new_secret
from ..records.identity import BrowserSession, Person

COOKIE = "sandbox_session"


def current_session() -> BrowserSession:
    return storage().session(request.cookies.get(COOKIE, ""))


def remember(answer: Response, person: Person, client: str) -> Response:
    """Note on this browser that the person signed in now, and for which application."""
    cookie = request.cookies.get(COOKIE, "")
    with storage().lock:
        if digest(cookie) not in storage().sessions:
            cookie = new_secret()
            storage().sessions[digest(cookie)] = BrowserSession()
        session = storage().sessions[digest(cookie)]
        session.accounts[person.oid] = now()
        if client and client not in session.clients:
            session.clients.append(client)
    secure = login_origin().startswith("https:")
    answer.set_cookie(COOKIE, cookie, httponly=True, samesite="Lax", secure=secure, path="/")
    return answer


def forget(answer: Response) -> Response:
    """End the browser's session."""
    with storage().lock:
        storage().sessions.pop(digest(request.cookies.get(COOKIE, "")), None)
    answer.delete_cookie(COOKIE, path="/")
    return answer

"""Where a person withdraws access by hand: My Apps at work, the consent page of a personal account.

Plays https://myapps.microsoft.com (here `/myapps`) and https://account.live.com/consent/Manage (`/consent/Manage`).
Follows https://support.microsoft.com/account-billing/edit-or-revoke-application-permissions-in-the-my-apps-portal-169be2b4-ee26-4338-aea8-d19bb2f329ee
"""

from __future__ import annotations

from flask import Blueprint, Response, make_response, redirect, render_template, request

from ..context import storage
from ..guard import cross_site
from ..records.identity import Person
from . import consent
from .answer import error_page
from .cookies import current_session, remember
from .errors import IdentityError
from .scopes import PERMISSIONS

blueprint = Blueprint("my_apps", __name__)
PAGES = {"/myapps": False, "/consent/Manage": True}


def _people(personal: bool) -> list[Person]:
    return [p for p in storage().people.values() if storage().tenants[p.tid].personal == personal and p.enabled]


@blueprint.get("/myapps")
@blueprint.get("/consent/Manage")
def show() -> Response:
    """The applications that each account signed in here has let in, and what an administrator let in for everybody."""
    personal = PAGES[request.path]
    people = _people(personal)
    here = [p for p in people if current_session().accounts.get(p.oid, p.valid_from) > p.valid_from]
    page = render_template(
        "sandbox/my_apps.html",
        personal=personal,
        path=request.path,
        accounts=[(p, list(_grants(p))) for p in here],
        others=[p for p in people if p not in here],
        tenants=storage().tenants,
        clients=storage().clients,
        permissions=PERMISSIONS,
    )
    return make_response(page)


def _grants(person: Person) -> list[object]:
    return [g for client in storage().clients for g in storage().grants_for(person, client)]


@blueprint.post("/myapps")
@blueprint.post("/consent/Manage")
def act() -> Response:
    """Sign in, or withdraw one consent of one's own. What an administrator granted cannot be withdrawn here."""
    if cross_site():
        return error_page(IdentityError(9002313, "That came from another site."), 403)
    personal = PAGES[request.path]
    answer = make_response(redirect(request.path, 303))
    person = storage().person(request.form.get("account", ""))
    if person and person in _people(personal):
        return remember(answer, person, "")
    held = storage().grants.get(request.form.get("revoke", ""))
    if held and held.principal in current_session().accounts:
        for each in storage().grants_for(storage().people[held.principal], held.client):
            if each.principal == held.principal:  # an application's permissions go together, whatever the resource
                consent.end(storage(), each)
    return answer

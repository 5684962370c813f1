"""The person behind the token."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify

from ..context import graph_origin, storage
from ..identity.issue import subject
from ..records.identity import Person
from .caller import bearer, mailbox_of, person_with, unauthorized
from .errors import not_found
from .odata import reply, select
from .shape import context

blueprint = Blueprint("me", __name__)


def person_json(person: Person) -> dict[str, Any]:
    given, _, family = person.name.partition(" ")
    personal = storage().tenants[person.tid].personal
    # A personal account is known to Graph by its 64-bit id, as 16 hexadecimal digits.
    key = person.oid.replace("-", "")[-16:] if personal else person.oid
    return {
        "id": key,
        "displayName": person.name,
        "givenName": given,
        "surname": family,
        "userPrincipalName": person.address,
        "mail": None if person.mailbox else person.address,
        "businessPhones": [],
        "jobTitle": None,
        "mobilePhone": None,
        "officeLocation": None,
        "preferredLanguage": None if personal else "en-US",
    }


@blueprint.get("/v1.0/me")
def me() -> Response:
    """https://learn.microsoft.com/graph/api/user-get. Leaves out everything beyond the default properties."""
    caller = person_with("User.Read", "User.ReadWrite", "Directory.Read.All", code="Authorization_RequestDenied")
    return reply({"@odata.context": context("users/$entity"), **select(person_json(caller.person))})


@blueprint.get("/v1.0/me/photo/$value")
@blueprint.get("/v1.0/me/photos/<size>/$value")
def photo(size: str = "") -> Response:
    """https://learn.microsoft.com/graph/api/profilephoto-get. Nobody here has a picture."""
    person_with("User.Read", "User.ReadWrite", code="Authorization_RequestDenied")
    raise not_found("ImageNotFound")


@blueprint.get("/v1.0/me/mailboxSettings")
def mailbox_settings() -> Response:
    """https://learn.microsoft.com/graph/api/user-get-mailboxsettings. Leaves out all but the person's time zone."""
    caller = mailbox_of("MailboxSettings.Read")
    at = context(f"users('{caller.person.oid}')/mailboxSettings")
    return reply({"@odata.context": at, "timeZone": caller.person.time_zone})


@blueprint.route("/oidc/userinfo", methods=["GET", "POST"])
def userinfo() -> Response:
    """https://learn.microsoft.com/entra/identity-platform/userinfo"""
    token = bearer()
    person = storage().people.get(token.oid)
    if person is None or "openid" not in token.scopes:
        raise unauthorized("The token was not issued for openid.")
    told: dict[str, Any] = {"sub": subject(person, token.client)}
    if "profile" in token.scopes:
        given, _, family = person.name.partition(" ")
        picture = f"{graph_origin()}/v1.0/me/photo/$value"
        told |= {"name": person.name, "given_name": given, "family_name": family, "picture": picture}
    if "email" in token.scopes:
        told["email"] = person.address
    return jsonify(told)

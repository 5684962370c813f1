"""Who asks for help, and from where: the page, the article, the reference of an error, carried from form to form."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass

from flask import request, session
from flask_login import current_user

from portal.web.redirects import own_path

SIGN_IN = "/sign-in"
REFERENCE = re.compile(r"[0-9A-F]{8}")
ADDRESS = re.compile(r"[^@\s]{1,100}@[^@\s]{1,100}\.[^@\s]{1,50}")
OF_ONE = re.compile(r"/?[0-9a-fA-F]{32}")
SLUG = re.compile(r"[a-z0-9-]{1,100}")


@dataclass(frozen=True)
class Asking:
    """Where the question comes from. `place` says where the forms are shown, so that ids stay unique.

    `page` says which kind of page it was, never which connection it was about: a conversation is kept for longer.
    """

    place: str = "page"
    page: str = ""
    article: str = ""
    reference: str = ""
    draft: str = ""

    def may_begin(self) -> bool:
        """Members may always; others only from the sign-in page."""
        return bool(current_user.is_authenticated) or self.page.split("?")[0] == SIGN_IN


def asking(place: str = "") -> Asking:
    """From the address or the form at hand, judged."""
    values = request.values
    article, reference = values.get("article", ""), values.get("reference", "")
    return Asking(
        place=place or ("panel" if values.get("place") == "panel" else "page"),
        page=own_path(OF_ONE.sub("", values.get("page", "")), ""),
        article=article if SLUG.fullmatch(article) else "",
        reference=reference if REFERENCE.fullmatch(reference) else "",
        draft=values.get("draft", "")[:1000],
    )


def reader() -> str:
    """Who answers: the member, or a random name kept in a visitor's session from the first answer on."""
    if current_user.is_authenticated:
        return str(current_user.id)
    return str(session.setdefault("visitor", secrets.token_hex(16)))


def visitor() -> str | None:
    """The hash of the random name of a visitor who has begun a conversation here; None for everybody else."""
    if current_user.is_authenticated or not session.get("asked"):
        return None
    return hash_of(str(session["visitor"]))


def hash_of(name: str) -> str:
    """What is stored of a random name: enough to know it again, useless to pretend."""
    return hashlib.sha256(f"visitor:{name}".encode()).hexdigest()

"""The form under "Leave us a message": prefilled, judged, and carried from page to page."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from flask import request
from flask_login import current_user

from portal.web.redirects import own_path

LONGEST = 2000
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass
class HelpForm:
    """What stands in the form. `place` says where it is shown, so that ids stay unique: on the page or in the panel."""

    place: str = "page"
    page: str = ""
    article: str = ""
    text: str = ""
    reply_to: str = ""
    faults: dict[str, str] = field(default_factory=dict)


def blank(page: str, article: str = "", place: str = "page") -> HelpForm:
    """An empty form; a member's own address is filled in."""
    reply_to = current_user.email if current_user.is_authenticated else ""
    return HelpForm(place=place, page=page, article=article, reply_to=reply_to)


def carried(article: str = "") -> HelpForm:
    """An empty form in the place where the posted one was."""
    return blank(own_path(request.form.get("page"), ""), article, _place())


def received() -> HelpForm:
    """The form as posted, judged."""
    form = HelpForm(
        place=_place(),
        page=own_path(request.form.get("page"), ""),
        article=request.form.get("article", "")[:100],
        text=request.form.get("text", "").strip(),
        reply_to=request.form.get("reply_to", "").strip(),
    )
    if not form.text:
        form.faults["text"] = "Please write what you need."
    elif len(form.text) > LONGEST:
        form.faults["text"] = f"Please keep it within {LONGEST} characters; this has {len(form.text)}."
    if len(form.reply_to) > 254 or not ADDRESS.fullmatch(form.reply_to):
        form.faults["reply_to"] = "Please enter an email address that we can answer to, such as name@example.com."
    return form


def _place() -> str:
    return "panel" if request.form.get("place") == "panel" else "page"

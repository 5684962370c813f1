"""Walk the portal and check every page that is met: each test improves every page it happens to open.

`Walker` wraps Flask's test client; `check_page` and `check_part` say what is wrong with a page or a part of one.
"""

from __future__ import annotations

from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import html5lib
from bs4 import BeautifulSoup, Tag
from html5lib.html5parser import ParseError
from werkzeug.test import TestResponse

from tests.pages import read

FIELDS = ("input", "textarea", "select")
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls")


class Walker:
    """A test client that looks at what it is given."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def get(self, *args: Any, **more: Any) -> TestResponse:
        """GET, and check what comes."""
        return checked(self.client.get(*args, **more))

    def post(self, *args: Any, **more: Any) -> TestResponse:
        """POST, and check what comes."""
        return checked(self.client.post(*args, **more))

    def open(self, *args: Any, **more: Any) -> TestResponse:
        """Any method, and check what comes."""
        return checked(self.client.open(*args, **more))


def checked(response: TestResponse) -> TestResponse:
    """The response, after its HTML (if it is any) has passed."""
    if response.mimetype == "text/html" and response.status_code not in (301, 302, 303, 307, 308) and response.data:
        where = f"{response.request.method} {response.request.path}"
        is_part = response.request.headers.get("HX-Request-Type") == "partial"
        faults = check_part(response.text) if is_part else check_page(response.text)
        assert not faults, f"{where}: {faults}"
    return response


def check_page(text: str) -> list[str]:
    """What is wrong with a whole page."""
    faults = parse_faults(text, part=False)
    soup = read(text)
    if not text.lstrip().lower().startswith("<!doctype html>"):
        faults.append("no doctype")
    if soup.html is None or not soup.html.get("lang"):
        faults.append("no language")
    if soup.title is None or not name_of(soup.title).strip(" ·").removesuffix("Coordinoter").strip(" ·"):
        faults.append("no title")
    if len(soup.find_all("h1")) != 1:
        faults.append(f"{len(soup.find_all('h1'))} h1")
    if len(soup.find_all("main")) != 1:
        faults.append("not exactly one main")
    if len(soup.select("nav [aria-current=page]")) > 1:
        faults.append("more than one current link")
    return faults + common_faults(soup)


def check_part(text: str) -> list[str]:
    """What is wrong with a fragment: it has one root, with an id."""
    soup = read(text)
    roots = [node for node in soup.children if isinstance(node, Tag)]
    faults = parse_faults(text, part=True)
    if len(roots) != 1:
        faults.append(f"{len(roots)} roots")
    elif not roots[0].get("id"):
        faults.append("the root has no id")
    if soup.find("h1") or soup.find("title"):
        faults.append("a part of a page has a heading or title of a whole one")
    return faults + common_faults(soup, whole=False)


def parse_faults(text: str, *, part: bool) -> list[str]:
    """What a strict HTML parser says."""
    parser = html5lib.HTMLParser(strict=True)
    try:
        parser.parseFragment(text) if part else parser.parse(text)
    except ParseError as error:
        return [f"not valid HTML: {error} at {parser.errors[-1:]}"]
    return []


def common_faults(soup: BeautifulSoup, *, whole: bool = True) -> list[str]:
    """What is wrong anywhere."""
    ids = Counter(str(tag["id"]) for tag in soup.find_all(id=True))
    faults = [f"id {name!r} {number} times" for name, number in ids.items() if number > 1]
    for tag in soup.find_all(True):
        faults += tag_faults(tag, soup)
        if whole:
            faults += [
                f"{attribute}={name!r} leads nowhere"
                for attribute in REFERENCES
                for name in str(tag.get(attribute, "")).split()
                if name not in ids
            ]
    return faults


def tag_faults(tag: Tag, soup: BeautifulSoup) -> list[str]:
    """What is wrong with one element."""
    faults = [f"inline handler {name} on {tag.name}" for name in tag.attrs if name.startswith(("on", "hx-on"))]
    if tag.has_attr("style") or tag.name == "style":
        faults.append(f"inline style on {tag.name}")
    if tag.name == "script" and (not tag.get("src") or tag.get_text(strip=True)):
        faults.append("inline script")
    if tag.name in ("button", "a") and not name_of(tag):
        faults.append(f"a {tag.name} without a name: {tag}")
    if tag.name == "a" and urlsplit(str(tag.get("href", ""))).scheme == "javascript":
        faults.append(f"script in a link: {tag}")
    if tag.name in FIELDS and tag.get("type") not in ("hidden", "submit") and not has_label(tag, soup):
        faults.append(f"a field without a label: {tag}")
    if tag.name == "form":
        faults += form_faults(tag)
    return faults


def form_faults(form: Tag) -> list[str]:
    """Forms that write carry the session's token and post to ourselves; the others write nothing."""
    method = str(form.get("method", "")).lower()
    if method == "dialog":
        return []
    action = str(form.get("action", ""))
    faults = [] if action.startswith("/") and not action.startswith("//") else [f"a form to {action!r}"]
    has_token = form.find("input", {"name": "csrf_token", "value": True}) is not None
    if method not in ("get", "post"):
        faults.append(f"a form without a method, to {action}")
    if has_token != (method == "post"):
        faults.append(f"{'no token in' if method == 'post' else 'a token leaks through'} the form to {action}")
    if form.get("hx-post") and form["hx-post"] != action:
        faults.append(f"htmx posts elsewhere than {action}")
    return faults


def name_of(tag: Tag) -> str:
    """The name that a screen reader would say, near enough."""
    return str(tag.get("aria-label") or tag.get_text(" ", strip=True))


def has_label(field: Tag, soup: BeautifulSoup) -> bool:
    """Whether a field says what it is for."""
    if field.get("aria-label") or field.get("aria-labelledby") or field.find_parent("label"):
        return True
    return field.get("id") is not None and soup.find("label", attrs={"for": field["id"]}) is not None

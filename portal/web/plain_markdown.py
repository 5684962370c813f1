"""What people write to each other, as HTML: a small part of Markdown. Everything is escaped first; HTML stays text."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from flask import Flask
from markupsafe import Markup, escape

CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(
    r"\[([^\]\n]{1,200})\]\(((?:https?://|/)[^\s()]{1,500})\)|(https?://[^\s()<>\"']{1,500}[^\s()<>\"'.,:;!?])"
)
STRONG = re.compile(r"\*\*(\S(?:[^*\n]*\S)?)\*\*")
SLANTED = re.compile(r"(?<![\w*])\*(\S(?:[^*\n]*\S)?)\*(?![\w*])")
BREAK = re.compile(r"</p>|</li>|<br>")
POINT = re.compile(r"^[-*] +(.*)$")


def setup(app: Flask) -> None:
    """Give templates the filters `plain_markdown` and `one_line`."""
    app.add_template_filter(plain_markdown)
    app.add_template_filter(one_line)


def plain_markdown(text: str) -> Markup:
    """Paragraphs, `- ` lists, **strong**, *slanted*, `code`, and links, whose host is shown when it is not ours."""
    blocks = (_block(block.splitlines()) for block in re.split(r"\n\s*\n", text.replace("\r", "").strip()) if block)
    return Markup("").join(blocks)


def one_line(text: str) -> str:
    """The words alone, in one line: for a list."""
    return Markup(BREAK.sub(" ", plain_markdown(text))).striptags()  # noqa: S704 - escaped above


def _block(lines: list[str]) -> Markup:
    points = [POINT.match(line) for line in lines]
    if lines and all(points):
        return Markup("<ul>{}</ul>").format(
            Markup("").join(Markup("<li>{}</li>").format(_line(point[1])) for point in points if point)
        )
    return Markup("<p>{}</p>").format(Markup("<br>").join(_line(line) for line in lines))


def _line(text: str) -> Markup:
    """Code and links first: nothing inside them is looked at again."""
    done, at = Markup(""), 0
    for found in re.finditer(f"{CODE.pattern}|{LINK.pattern}", text):
        done += _emphasis(text[at : found.start()])
        code, words, target, bare = found.groups()
        done += Markup("<code>{}</code>").format(code) if code else _link(target or bare, words or bare)
        at = found.end()
    return done + _emphasis(text[at:])


def _link(target: str, words: str) -> Markup:
    if target.startswith("/"):
        if target.startswith("//") or "\\" in target:
            return escape(words)
        return Markup('<a href="{}">{}</a>').format(target, words)
    try:
        host = urlsplit(target).netloc
    except ValueError:  # "http://[abc": looks like an address and is none
        return escape(words)
    told = Markup("") if words == target else Markup(' <span class="outside-host">({})</span>').format(host)
    return Markup('<a class="outside" href="{}" rel="noopener noreferrer nofollow">{}</a>{}').format(
        target, words, told
    )


def _emphasis(text: str) -> Markup:
    safe = str(escape(text))
    safe = STRONG.sub(r"<strong>\1</strong>", safe)
    return Markup(SLANTED.sub(r"<em>\1</em>", safe))  # noqa: S704 - escaped above

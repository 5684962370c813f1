"""What pages are called, for support: `/integrations` is Manage Integrations."""

from __future__ import annotations

from flask import Flask

from portal.web import articles

NAMES = (
    ("/integrations/outlook-calendar", "the Outlook Calendar card"),
    ("/integrations", "Manage Integrations"),
    ("/connections", "the question before disconnecting"),
    ("/disconnections", "the page of a disconnection"),
    ("/agenda", "Agenda"),
    ("/help", "the help centre"),
    ("/chat", "the page of their conversations"),
    ("/self-check", "a self-check"),
    ("/business", "Your business"),
    ("/sign-in", "the sign-in page"),
)


def setup(app: Flask) -> None:
    """Give templates the filter below."""
    app.add_template_filter(page_name, "page_name")


def page_name(path: str) -> str:
    """`the Outlook Calendar card`; the path itself for a page without a name of its own."""
    plain = path.split("?")[0]
    if plain == "/":
        return "Home"
    article = articles.find(plain.removeprefix("/help/")) if plain.startswith("/help/") else None
    if article is not None:
        return f"the article “{article.title}”"
    return next((name for start, name in NAMES if plain == start or plain.startswith(f"{start}/")), plain)

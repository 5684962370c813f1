"""How large a request may be: 1 MB, and a picture's size where pictures are sent."""

from __future__ import annotations

from flask import Flask, request

USUAL, WITH_PICTURE = 1024 * 1024, 3 * 1024 * 1024
PICTURES = {"chat.send", "support.send"}


def setup(app: Flask) -> None:
    """Before anything reads the form: the check of the session's token does."""
    app.config["MAX_CONTENT_LENGTH"] = USUAL
    app.before_request(make_room)


def make_room() -> None:
    """Pictures need more."""
    if request.endpoint in PICTURES:
        request.max_content_length = WITH_PICTURE

"""Pictures of conversations, served so that a browser can do nothing but show them."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response, abort

from portal.db import db
from portal.models import Attachment, Conversation, Entry
from portal.workflows.picture import kind_of


def serve(image_id: str, may_see: Callable[[Conversation], bool]) -> Response:
    """The picture, under the type that its bytes prove once more, in a sandbox. 404 for strangers."""
    image = db.session.get(Attachment, image_id)
    entry = db.session.get(Entry, image.entry_id) if image else None
    conversation = db.session.get(Conversation, entry.conversation_id) if entry else None
    if image is None or conversation is None or not may_see(conversation):
        abort(404)
    kind = kind_of(image.content)
    answer = Response(image.content, content_type=kind)
    name = f"picture-{image.id[:8]}.{kind.partition('/')[2]}"
    answer.headers["Content-Disposition"] = f'inline; filename="{name}"'
    answer.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer

"""What kind of picture some bytes are, by their first bytes alone; what a sender calls them proves nothing."""

from __future__ import annotations

LARGEST = 2 * 1024 * 1024  # bytes


def kind_of(content: bytes) -> str:
    """The media type; "" for no bytes. Raises ValueError with a sentence for whoever sent it."""
    if not content:
        return ""
    if len(content) > LARGEST:
        raise ValueError("This picture is too large: 2 MB at most.")
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    raise ValueError("Only pictures can be sent: PNG, JPEG, GIF or WebP.")

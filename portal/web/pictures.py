"""Pictures in help articles: `![what it shows](card-connected.png)` in Markdown, a file in static/help/.

`make pictures` takes them from the demo world. Each has its size in the page, so that nothing jumps when it arrives.
"""

from __future__ import annotations

import struct
from pathlib import Path
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from portal.config import ROOT
from portal.web.assets import fingerprint

FOLDER = ROOT / "static" / "help"
LARGEST = 60 * 1024  # bytes


def size_of(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from a PNG's own head: https://www.w3.org/TR/png-3/#11IHDR"""
    head = path.read_bytes()[:24]
    if not head.startswith(b"\x89PNG\r\n\x1a\n"):
        raise ValueError(f"{path.name} is no PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


class Pictures(Extension):
    """Give every picture its address, its size, and leave to arrive later than the text."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the library's name
        """Called by Markdown."""
        md.treeprocessors.register(_Finish(md), "pictures", 5)


class _Finish(Treeprocessor):
    def run(self, root: Element) -> None:
        for image in root.iter("img"):
            path = FOLDER / image.get("src", "")
            width, height = size_of(path)
            image.set("src", f"/static/help/{path.name}?v={fingerprint(path, path.stat().st_mtime_ns)}")
            image.set("width", str(width))
            image.set("height", str(height))
            image.set("loading", "lazy")
            image.set("decoding", "async")
